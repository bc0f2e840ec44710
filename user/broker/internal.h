/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this module share. */
#pragma once

#include <sys/queue.h>

#include "broker/broker.h"
#include "broker/reviews.h"
#include "kube/cluster_pods.h"

#define BROKER_BUCKETS 10

struct broker_ask;
TAILQ_HEAD(broker_asks, broker_ask);

struct broker {
	struct broker_options options;
	struct kube_cluster_pods *pods;
	struct broker_reviews *reviews;
	struct broker_asks asks; /* that are not answered yet */
	uint64_t reasons[BROKER_REASONS];
	uint64_t buckets[BROKER_BUCKETS], sum_ns; /* of requests for credentials, granted or not */
};

/* Of a request for credentials: ends asks, when the broker does. */
void broker_ask_begin(struct broker *broker, struct http_ticket *ticket);
void broker_asks_end(struct broker *broker);

void broker_count(struct broker *broker, enum broker_reason reason, uint64_t took_ns);
