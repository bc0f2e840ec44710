// SPDX-License-Identifier: Apache-2.0
#include "loader.h"

static const char *const names[] = {
#define X(number, name, class, error, text) [number] = #name,
	PODCRED_REASONS(X)
#undef X
};

static const char *const texts[] = {
#define X(number, name, class, error, text) [number] = text,
	PODCRED_REASONS(X)
#undef X
};

const char *loader_reason_name(enum podcred_reason reason)
{
	return reason < PODCRED_REASON_MAX ? names[reason] : "unknown";
}

const char *loader_reason_text(enum podcred_reason reason)
{
	return reason < PODCRED_REASON_MAX ? texts[reason] : "unknown";
}
