/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent did, in numbers, for Prometheus. Labels come from fixed tables (services, results,
 * reasons, kinds of owners), so nothing that a client sends can create a time series.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/answer.h"
#include "agent/leaves.h"
#include "http/request.h"
#include "http/server.h"

struct agent_service;

#define METRICS_SERVICES 8 /* those of the table, and "none" */
#define METRICS_BUCKETS	 12

enum metrics_result {
	METRICS_GRANTED,
	METRICS_REFUSED, /* with a reason */
	METRICS_OTHER, /* anything else that was answered: session tokens, names of roles, 404 */
	METRICS_ABORTED, /* no answer: the client is gone, or there is no memory */
	METRICS_RESULT_MAX,
};

struct metrics {
	struct {
		atomic_uint_least64_t results[METRICS_RESULT_MAX];
		atomic_uint_least64_t buckets[METRICS_BUCKETS]; /* not cumulative; last: +Inf */
		atomic_uint_least64_t took_us;
	} services[METRICS_SERVICES];
	atomic_uint_least64_t reasons[AGENT_REASON_MAX];
};

/* asked NULL: no service. answer NULL: no answer. took_ns: since the request was whole, waiting included. */
void agent_metrics_count(struct metrics *m, const struct agent_service *asked,
			 const struct agent_answer *answer, uint64_t took_ns);

/* Refused before there was a request. */
void agent_metrics_count_refusal(struct metrics *m, enum agent_reason reason);

/* What is so at this moment. */
struct metrics_now {
	struct http_counts counts;
	struct http_limits limits;
	size_t associations;
	bool asks; /* podcred fetch */
	struct agent_leaves_counts leaves;
	size_t documents; /* of the metadata service, that are kept */
	uint64_t log_dropped; /* lines */
	bool passes_on; /* what the resolver says of the node */
	const char *node_text; /* that; NULL: it says nothing now */
};

/* The text exposition format 0.0.4. 0, -ENOMEM or -E2BIG. */
int agent_metrics_print(const struct metrics *m, const struct metrics_now *now, struct text *ret);

/* Answers GET /metrics with it, and 404 or 405 to all else. */
int agent_metrics_answer(const struct metrics *m, const struct metrics_now *now,
			 const struct http_head *head, struct http_response *ret);
