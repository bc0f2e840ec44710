// SPDX-License-Identifier: Apache-2.0
#include "agent/reasons.h"

const char *agent_reason_name(enum agent_reason reason)
{
	static const char *const names[AGENT_REASON_MAX] = {
#define X(name, text) [AGENT_##name] = #text,
		AGENT_REASONS(X)
#undef X
	};

	return names[reason];
}
