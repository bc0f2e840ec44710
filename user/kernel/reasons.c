// SPDX-License-Identifier: Apache-2.0
#include "kernel/status.h"

#include "base/cleanup.h"

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

const char *kern_action_name(int action)
{
	static const char *const actions[] = {
		[PODCRED_ACTION_ALLOW] = "allow", [PODCRED_ACTION_REDIRECT] = "redirect",
		[PODCRED_ACTION_DENY] = "deny",	  [PODCRED_ACTION_STAMP] = "stamp",
		[PODCRED_ACTION_AUDIT] = "audit",
	};

	return action >= 0 && (size_t)action < ARRAY_SIZE(actions) ? actions[action] : "none";
}

const char *kern_reason_name(enum podcred_reason reason)
{
	return reason < PODCRED_REASON_MAX ? names[reason] : "unknown";
}

const char *kern_reason_text(enum podcred_reason reason)
{
	return reason < PODCRED_REASON_MAX ? texts[reason] : "unknown";
}
