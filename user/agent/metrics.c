// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "agent/service.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define US	  1000ULL
#define TEXT_ROOM ((64 + 256) * 1024) /* its own, and what it passes on */

/* From a lookup in memory to a wait for a name. */
static const struct {
	uint64_t up_to_ns;
	const char *text;
} buckets[METRICS_BUCKETS] = {
	{100 * US, "0.0001"},	 {500 * US, "0.0005"},	   {CLOCK_MS, "0.001"},
	{5 * CLOCK_MS, "0.005"}, {10 * CLOCK_MS, "0.01"},  {50 * CLOCK_MS, "0.05"},
	{100 * CLOCK_MS, "0.1"}, {250 * CLOCK_MS, "0.25"}, {500 * CLOCK_MS, "0.5"},
	{CLOCK_S, "1"},		 {2500 * CLOCK_MS, "2.5"}, {UINT64_MAX, "+Inf"},
};

static const char *const results[METRICS_RESULT_MAX] = {
	[METRICS_GRANTED] = "granted",
	[METRICS_REFUSED] = "refused",
	[METRICS_OTHER] = "other",
	[METRICS_ABORTED] = "aborted",
};

/* ---- counting ---- */

/* 0 is for those that no service was there for; health checks too. */
static size_t index_of(const struct agent_service *service)
{
	for (size_t i = 0; service && agent_service_at(i); i++)
		if (agent_service_at(i) == service)
			return i + 1;
	return 0;
}

static const char *name_at(size_t index)
{
	const struct agent_service *service;

	if (index == 0)
		return "none";
	service = agent_service_at(index - 1);
	return service ? service->name : NULL;
}

static enum metrics_result result_of(const struct agent_answer *answer)
{
	if (!answer)
		return METRICS_ABORTED;
	if (answer->audit == AUDIT_GRANTED)
		return METRICS_GRANTED;
	return answer->audit == AUDIT_REFUSED ? METRICS_REFUSED : METRICS_OTHER;
}

static void add(atomic_uint_least64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_least64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void agent_metrics_count(struct metrics *m, const struct agent_service *asked,
			 const struct agent_answer *answer, uint64_t took_ns)
{
	size_t service = index_of(asked), bucket = 0;

	while (took_ns > buckets[bucket].up_to_ns)
		bucket++;
	add(&m->services[service].results[result_of(answer)], 1);
	add(&m->services[service].took_us, took_ns / US);
	add(&m->services[service].buckets[bucket], 1);
	if (answer && answer->audit == AUDIT_REFUSED)
		agent_metrics_count_refusal(m, answer->reason);
}

void agent_metrics_count_refusal(struct metrics *m, enum agent_reason reason)
{
	add(&m->reasons[reason], 1);
}

/* ---- text ---- */

static void head(struct text *t, const char *name, const char *type, const char *help)
{
	text_addf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_requests(const struct metrics *m, struct text *t)
{
	uint64_t grants = 0;

	head(t, "podcred_agent_requests_total", "counter",
	     "Requests that are over, by the service that was dialled and what came of them.");
	for (size_t i = 0; name_at(i); i++) {
		for (size_t r = 0; r < METRICS_RESULT_MAX; r++)
			text_addf(t,
				  "podcred_agent_requests_total{service=\"%s\",result=\"%s\"} "
				  "%" PRIu64 "\n",
				  name_at(i), results[r], get(&m->services[i].results[r]));
		grants += get(&m->services[i].results[METRICS_GRANTED]);
	}
	head(t, "podcred_agent_grants_total", "counter", "Answers that held credentials.");
	text_addf(t, "podcred_agent_grants_total %" PRIu64 "\n", grants);
}

static void put_refusals(const struct metrics *m, struct text *t)
{
	head(t, "podcred_agent_refusals_total", "counter",
	     "Requests and connections that were refused, by reason.");
	for (int i = AGENT_NO_REASON + 1; i < AGENT_REASON_MAX; i++)
		text_addf(t, "podcred_agent_refusals_total{reason=\"%s\"} %" PRIu64 "\n",
			  agent_reason_name((enum agent_reason)i), get(&m->reasons[i]));
}

static void put_duration(const struct metrics *m, size_t service, struct text *t)
{
	static const char name[] = "podcred_agent_request_duration_seconds";
	uint64_t count = 0, us = get(&m->services[service].took_us);

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		count += get(&m->services[service].buckets[i]);
		text_addf(t, "%s_bucket{service=\"%s\",le=\"%s\"} %" PRIu64 "\n", name,
			  name_at(service), buckets[i].text, count);
	}
	text_addf(t, "%s_sum{service=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n", name, name_at(service),
		  us / 1000000, us % 1000000);
	text_addf(t, "%s_count{service=\"%s\"} %" PRIu64 "\n", name, name_at(service), count);
}

static void put_owners(struct text *t, const char *name, const char *help, const unsigned n[3])
{
	static const char *const owners[] = {"pod", "node", "other"};

	head(t, name, "gauge", help);
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
		text_addf(t, "%s{owner=\"%s\"} %u\n", name, owners[i], n[i]);
}

static void put_now(const struct metrics_now *now, struct text *t)
{
	const struct http_counts *counts = &now->counts;
	const struct http_limits *limits = &now->limits;

	head(t, "podcred_agent_requests_waiting", "gauge",
	     "Requests that wait for their pod's name or credentials.");
	text_addf(t, "podcred_agent_requests_waiting %u\n", counts->parked);
	put_owners(t, "podcred_agent_connections",
		   "Connections: of pods, of the node's processes, and of others without a stamp.",
		   (unsigned[]){counts->known, counts->local, counts->unknown});
	put_owners(t, "podcred_agent_connections_limit", "How many connections there may be.",
		   (unsigned[]){limits->total, limits->local, limits->unknown});
	head(t, "podcred_agent_associations", "gauge", "Service accounts that have credentials.");
	text_addf(t, "podcred_agent_associations %zu\n", now->associations);
	head(t, "podcred_agent_log_dropped_total", "counter",
	     "Lines of the log that were dropped, as nobody read the log.");
	text_addf(t, "podcred_agent_log_dropped_total %" PRIu64 "\n", now->log_dropped);
}

static void put_answers(const struct agent_leaves_counts *counts, struct text *t)
{
	static const char name[] = "podcred_agent_fetch_answers_total";

	head(t, name, "counter", "Answers of podcred fetch about pods, by result.");
	for (unsigned i = 0; i < UPSTREAM_CACHE_MAX; i++)
		text_addf(t, "%s{result=\"granted\",cache=\"%s\"} %" PRIu64 "\n", name,
			  upstream_cache_name((enum upstream_cache)i), counts->grants[i]);
	text_addf(t, "%s{result=\"lost\"} %" PRIu64 "\n", name, counts->lost);
	for (unsigned i = 0; i < UPSTREAM_REASON_MAX; i++)
		text_addf(t, "%s{result=\"%s\"} %" PRIu64 "\n", name,
			  upstream_reason_name((enum upstream_reason)i), counts->refusals[i]);
}

static void put_fetch(const struct metrics_now *now, struct text *t)
{
	const struct agent_leaves_counts *counts = &now->leaves;

	if (!now->asks)
		return;
	head(t, "podcred_agent_fetch_connected", "gauge", "Whether podcred fetch is there.");
	text_addf(t, "podcred_agent_fetch_connected %d\n", counts->connected);
	head(t, "podcred_agent_fetch_questions_total", "counter",
	     "Questions about pods that were sent to podcred fetch.");
	text_addf(t, "podcred_agent_fetch_questions_total %" PRIu64 "\n", counts->questions);
	put_answers(counts, t);
	head(t, "podcred_agent_fetch_in_flight", "gauge",
	     "Pods that a question is asked about at this moment.");
	text_addf(t, "podcred_agent_fetch_in_flight %zu\n", counts->in_flight);
	head(t, "podcred_agent_leaves", "gauge",
	     "Pods about which something is kept: credentials, a refusal, or a question.");
	text_addf(t, "podcred_agent_leaves{state=\"granted\"} %zu\n", counts->granted);
	text_addf(t, "podcred_agent_leaves{state=\"other\"} %zu\n",
		  counts->leaves - counts->granted);
	head(t, "podcred_agent_leaves_used_total", "counter",
	     "How often what was kept about a pod was an answer, without a question.");
	text_addf(t, "podcred_agent_leaves_used_total %" PRIu64 "\n", counts->kept);
	head(t, "podcred_agent_documents", "gauge",
	     "Documents of the metadata service that are kept.");
	text_addf(t, "podcred_agent_documents %zu\n", now->documents);
	head(t, "podcred_agent_leaves_evicted_total", "counter",
	     "Pods that were forgotten to make room for others.");
	text_addf(t, "podcred_agent_leaves_evicted_total %" PRIu64 "\n", counts->evicted);
}

static void put_node(const struct metrics_now *now, struct text *t)
{
	if (!now->passes_on)
		return;
	head(t, "podcred_agent_node_metrics", "gauge",
	     "Whether the metrics of the resolver follow; 0: it has written none for a minute.");
	text_addf(t, "podcred_agent_node_metrics %d\n", now->node_text != NULL);
	text_add(t, now->node_text ?: "");
}

int agent_metrics_print(const struct metrics *m, const struct metrics_now *now, struct text *ret)
{
	ret->max = TEXT_ROOM;
	head(ret, "podcred_agent_build_info", "gauge", "The version in use; always 1.");
	text_addf(ret, "podcred_agent_build_info{version=\"%s\"} 1\n", PODCRED_VERSION);
	put_requests(m, ret);
	put_refusals(m, ret);
	head(ret, "podcred_agent_request_duration_seconds", "histogram",
	     "From the whole request to its answer, the wait for a name included.");
	for (size_t i = 0; name_at(i); i++)
		put_duration(m, i, ret);
	put_now(now, ret);
	put_fetch(now, ret);
	put_node(now, ret);
	return text_error(ret);
}

/* ---- HTTP ---- */

static int say(struct http_response *resp, unsigned status, const char *body)
{
	http_response_begin(resp, status, "text/plain");
	text_add(&resp->body, body);
	return text_error(&resp->body);
}

int agent_metrics_answer(const struct metrics *m, const struct metrics_now *now,
			 const struct http_head *head, struct http_response *ret)
{
	char path[HTTP_PATH_SIZE];

	if (head->ambiguous || head->too_large)
		return say(ret, 400, "malformed request\n");
	if (http_path_normalise(head->target, path, sizeof(path)) < 0 ||
	    strcmp(path, "/metrics") != 0)
		return say(ret, 404, "only /metrics is here\n");
	if (!http_is_read(head)) {
		http_response_add_header(ret, "Allow", "GET, HEAD");
		return say(ret, 405, "this method is not allowed here\n");
	}
	http_response_begin(ret, 200, "text/plain; version=0.0.4; charset=utf-8");
	return agent_metrics_print(m, now, &ret->body);
}
