// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "kernel/maps.h"
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

const char *kern_policy_name(uint32_t flags)
{
	return flags & PODCRED_POD_DENIED   ? "deny"
	       : flags & PODCRED_POD_EXEMPT ? "exempt"
	       : flags & PODCRED_POD_AUDIT  ? "audit"
					    : "redirect";
}

const char *kern_policy_text(uint32_t flags, uint32_t line, char *buf, size_t size)
{
	char by[32] = "no rule";

	if (line)
		snprintf(by, sizeof(by), "line %u", line);
	snprintf(buf, size, "%s by %s%s%s%s", kern_policy_name(flags), by,
		 flags & PODCRED_POD_ANNOTATED ? " and the pod's annotations" : "",
		 flags & PODCRED_POD_IMDSV2 ? ", IMDS with a session token alone" : "",
		 flags & PODCRED_POD_NO_LABELS ? ", its labels are not known" : "");
	return buf;
}

const char *kern_reason_name(enum podcred_reason reason)
{
	return reason < PODCRED_REASON_MAX ? names[reason] : "unknown";
}

const char *kern_reason_text(enum podcred_reason reason)
{
	return reason < PODCRED_REASON_MAX ? texts[reason] : "unknown";
}
