// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "broker/internal.h"

static const struct {
	uint64_t up_to_ns;
	const char *text;
} buckets[BROKER_BUCKETS] = {
	{CLOCK_MS, "0.001"},	 {2 * CLOCK_MS, "0.002"},  {5 * CLOCK_MS, "0.005"},
	{10 * CLOCK_MS, "0.01"}, {25 * CLOCK_MS, "0.025"}, {50 * CLOCK_MS, "0.05"},
	{100 * CLOCK_MS, "0.1"}, {250 * CLOCK_MS, "0.25"}, {900 * CLOCK_MS, "0.9"},
	{UINT64_MAX, "+Inf"},
};

void broker_count(struct broker *broker, enum broker_reason reason, uint64_t took_ns)
{
	size_t i = 0;

	broker->reasons[reason]++;
	if (!took_ns)
		return;
	while (took_ns > buckets[i].up_to_ns)
		i++;
	broker->buckets[i]++;
	broker->sum_ns += took_ns;
}

static void write_requests(const struct broker *broker, struct text *t)
{
	text_add(t, "# TYPE podcred_broker_requests_total counter\n");
	for (size_t i = 0; i < BROKER_REASONS; i++)
		text_addf(t, "podcred_broker_requests_total{result=\"%s\"} %" PRIu64 "\n",
			  broker_reason_name(i), broker->reasons[i]);
}

static void write_latency(const struct broker *broker, struct text *t)
{
	uint64_t n = 0;

	text_add(t, "# TYPE podcred_broker_request_seconds histogram\n");
	for (size_t i = 0; i < BROKER_BUCKETS; i++) {
		n += broker->buckets[i];
		text_addf(t, "podcred_broker_request_seconds_bucket{le=\"%s\"} %" PRIu64 "\n",
			  buckets[i].text, n);
	}
	text_addf(t, "podcred_broker_request_seconds_sum %.6f\n", (double)broker->sum_ns / CLOCK_S);
	text_addf(t, "podcred_broker_request_seconds_count %" PRIu64 "\n", n);
}

static void write_reviews(const struct broker *broker, struct text *t)
{
	struct broker_review_counts counts = broker_reviews_counts(broker->reviews);

	text_add(t, "# TYPE podcred_broker_reviews_total counter\n");
	text_addf(t, "podcred_broker_reviews_total{result=\"asked\"} %lu\n", counts.asked);
	text_addf(t, "podcred_broker_reviews_total{result=\"failed\"} %lu\n", counts.failed);
	text_addf(t, "podcred_broker_reviews_total{result=\"by_keys\"} %lu\n", counts.by_keys);
	text_addf(t, "# TYPE podcred_broker_reviews gauge\npodcred_broker_reviews %zu\n",
		  counts.kept);
}

/* How old what is known may be: 0 while changes are followed. */
static void write_watch(const char *what, const struct kube_watch_state *state, struct text *t)
{
	uint64_t age = state->in_touch ? 0 : clock_boot_ns() - state->heard_ns;

	text_addf(t, "podcred_broker_objects{resource=\"%s\"} %zu\n", what, state->objects);
	text_addf(t, "podcred_broker_watch_age_seconds{resource=\"%s\"} %" PRIu64 "\n", what,
		  (uint64_t)(state->heard_ns ? age / CLOCK_S : 0));
	text_addf(t, "podcred_broker_watch_in_touch{resource=\"%s\"} %d\n", what, state->in_touch);
}

void broker_metrics(const struct broker *broker, struct text *t)
{
	write_requests(broker, t);
	write_latency(broker, t);
	write_reviews(broker, t);
	write_watch("pods", kube_cluster_pods_state(broker->pods), t);
	write_watch("nodes", kube_cluster_pods_node_state(broker->pods), t);
}
