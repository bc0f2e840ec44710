/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the BPF programs would do with a pod's connection, and in which steps. Pure: facts in,
 * verdict out. The decisions are those of podcred_decide.h, which the programs use too; this file
 * adds the narration, and the order in which the hooks run. tests/e2e/25-explain.sh compares the
 * two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podcred_decide.h"

#define EXPLAIN_NONE PODCRED_NOT_GUARDED /* no action, no reason */

/* All that the programs look at. */
struct explain_facts {
	const struct podcred_config *config;
	struct podcred_target_key dest; /* port 0 where the protocol has none */
	int guard, target; /* enum podcred_action, or EXPLAIN_NONE: no entry */
	uint64_t pod; /* pod-level cgroup id */
	uint32_t pod_flags; /* PODCRED_POD_* */
	uint32_t policy_line; /* of the rule behind them; 0: none */
	int64_t pending; /* connections that the agent has not accepted */
	bool quota_full; /* the pod is not counted yet and podcred_quota has no room */
	int64_t open; /* connections to real addresses */
	bool pass_quota_full; /* as quota_full, of podcred_pass_quota */
	uint64_t now_ns, lease_ns; /* CLOCK_BOOTTIME */
	bool set_retval; /* the kernel lets a hook choose the errno */
	const char *path; /* how what goes to the agent gets there; NULL: not known */
	bool connect, sendmsg, announce, claim, egress, postrouting; /* effective */
};

enum explain_outcome {
	EXPLAIN_NOT_GUARDED, /* none of podcred's business */
	EXPLAIN_REDIRECTED,
	EXPLAIN_DIRECT, /* stamped, on its way to the agent's own address */
	EXPLAIN_PASSED, /* to the real address */
	EXPLAIN_REFUSED, /* with an errno */
	EXPLAIN_DROPPED, /* without a word */
};

#define EXPLAIN_MAX_STEPS 12

struct explain_step {
	const char *about;
	char text[256];
};

struct explain_verdict {
	enum explain_outcome outcome;
	int reason; /* enum podcred_reason, that of the last word; or EXPLAIN_NONE */
	int error; /* errno, for EXPLAIN_REFUSED */
	bool audited; /* would have been refused: mode audit, or audit by policy */
	struct podcred_endpoint agent; /* for EXPLAIN_REDIRECTED */
	struct explain_step steps[EXPLAIN_MAX_STEPS];
	size_t n_steps;
};

void doctor_explain_decide(const struct explain_facts *facts, struct explain_verdict *ret);

/* Whether packets of that protocol show a port. */
bool doctor_explain_has_ports(uint8_t protocol);
