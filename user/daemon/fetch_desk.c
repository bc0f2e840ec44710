// SPDX-License-Identifier: Apache-2.0
#include "daemon/fetch_desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "fetch/metadata.h"
#include "kube/token_review.h"
#include "upstream/upstream.h"

#define MAX_OPEN     8192 /* questions; serve has one for each pod */
#define REVIEW_MS    60000 /* how long a verdict of the API server counts */
#define ENDLESS_S    (6 * 3600) /* SDKs want an end: for keys that have none */
#define UNKNOWN_ROLE "podcred" /* for IMDS, which has to list some name */

TAILQ_HEAD(questions, question);

struct question {
	TAILQ_ENTRY(question) link;
	struct fetch_desk *desk;
	uint64_t id;
	struct fetch_pending *pending;
	struct fetch_document_wait *document;
	struct kube_token_review *review;
};

struct fetch_desk {
	struct fetch_desk_options options;
	struct questions questions;
	size_t n;
};

/* ---- questions ---- */

static void question_free(struct question *q)
{
	fetch_pending_cancel(q->pending);
	fetch_document_wait_cancel(q->document);
	kube_token_review_cancel(q->review);
	TAILQ_REMOVE(&q->desk->questions, q, link);
	q->desk->n--;
	free(q);
}

static struct question *question_new(struct fetch_desk *desk, uint64_t id)
{
	struct question *q = desk->n < MAX_OPEN ? calloc(1, sizeof(*q)) : NULL;

	if (!q)
		return NULL;
	q->desk = desk;
	q->id = id;
	TAILQ_INSERT_TAIL(&desk->questions, q, link);
	desk->n++;
	return q;
}

static int send_message(const struct fetch_desk *desk, const struct upstream_message *m)
{
	int r = upstream_send(*desk->options.upstream, UPSTREAM_FETCH, m);

	if (r < 0 && r != -ENOTCONN)
		log_warn("cannot answer the agent (%s): %s", upstream_type_name(m->type),
			 strerror(-r));
	return r;
}

/* One line of what can be sent: texts of others may be cut in the middle of a character. */
static void one_line(const char *text, char ret[UPSTREAM_TEXT_SIZE])
{
	snprintf(ret, UPSTREAM_TEXT_SIZE, "%s", text && *text ? text : "it failed");
	for (char *c = ret; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void refuse(const struct fetch_desk *desk, const struct upstream_refusal *refusal)
{
	struct upstream_message m = {.type = UPSTREAM_REFUSAL, .refusal = *refusal};
	char line[UPSTREAM_TEXT_SIZE];

	one_line(refusal->message, line);
	m.refusal.message = line;
	send_message(desk, &m);
}

/* Whoever asked must not wait for an answer that no message can hold. */
static void send_answer(const struct fetch_desk *desk, uint64_t id,
			const struct upstream_message *m)
{
	const struct upstream_refusal refusal = {.id = id,
						 .reason = UPSTREAM_INTERNAL,
						 .message = "the answer cannot be passed on",
						 .retry_ms = 10000};
	int r = send_message(desk, m);

	if (r == -EINVAL || r == -EMSGSIZE || r == -ENOMEM)
		refuse(desk, &refusal);
}

static void refuse_busy(const struct fetch_desk *desk, uint64_t id)
{
	const struct upstream_refusal refusal = {.id = id,
						 .reason = UPSTREAM_BUSY,
						 .message = "too many questions are open",
						 .retry_ms = 1000};

	refuse(desk, &refusal);
}

/* ---- credentials ---- */

static enum upstream_reason reason_of(enum fetch_class class)
{
	static const enum upstream_reason reasons[] = {
		[FETCH_GRANTED] = UPSTREAM_INTERNAL,
		[FETCH_ABSENT] = UPSTREAM_NO_ASSOCIATION,
		[FETCH_NOT_ALLOWED] = UPSTREAM_NOT_ALLOWED,
		[FETCH_DENIED] = UPSTREAM_DENIED,
		[FETCH_INVALID] = UPSTREAM_INVALID,
		[FETCH_TOKEN] = UPSTREAM_TOKEN_INVALID,
		[FETCH_NODE] = UPSTREAM_NODE_CREDENTIALS,
		[FETCH_THROTTLED] = UPSTREAM_THROTTLED,
		[FETCH_UNAVAILABLE] = UPSTREAM_UNAVAILABLE,
		[FETCH_BROKEN] = UPSTREAM_INTERNAL,
	};

	return reasons[class];
}

static enum upstream_cache cache_of(enum fetch_state state)
{
	static const enum upstream_cache caches[] = {
		[FETCH_HIT] = UPSTREAM_CACHE_HIT,
		[FETCH_MISS] = UPSTREAM_CACHE_MISS,
		[FETCH_REFRESH] = UPSTREAM_CACHE_REFRESH,
		[FETCH_STALE] = UPSTREAM_CACHE_STALE,
	};

	return caches[state];
}

static uint64_t to_ms(uint64_t ns)
{
	uint64_t ms = ns / CLOCK_MS;

	return ms < UPSTREAM_WAIT_MAX_MS ? ms : UPSTREAM_WAIT_MAX_MS;
}

static void grant(const struct fetch_desk *desk, uint64_t id, const struct fetch_reply *reply)
{
	const struct fetch_value *value = reply->answer.value;
	const struct upstream_message m = {
		.type = UPSTREAM_GRANT,
		.grant =
			{
				.id = id,
				.access_key_id = value->access_key_id,
				.secret_access_key = value->secret_access_key,
				.session_token = value->session_token,
				.expiration = value->expiration ?: time(NULL) + ENDLESS_S,
				.refresh_ms = to_ms(reply->answer.again_ns),
				.role = reply->role ?: UNKNOWN_ROLE,
				.role_arn = reply->role_arn,
				.account_id = reply->account_id,
				.session_name = reply->session_name,
				.role_id = reply->role_id,
				.source = reply->source,
				.cache = cache_of(reply->answer.state),
			},
	};

	send_answer(desk, id, &m);
}

static void on_reply(void *arg, const struct fetch_reply *reply)
{
	struct question *q = arg;
	const struct fetch_answer *answer = &reply->answer;

	q->pending = NULL;
	if (answer->class == FETCH_GRANTED)
		grant(q->desk, q->id, reply);
	else
		refuse(q->desk, &(const struct upstream_refusal){
					.id = q->id,
					.reason = reason_of(answer->class),
					.message = answer->why,
					.retry_ms = to_ms(answer->again_ns),
					.role_arn = reply->role_arn,
					.source = reply->source,
				});
	question_free(q);
}

static void ask_credentials(struct question *q, const struct upstream_credentials *m)
{
	const struct cred_pod pod = {.namespace = m->pod.name_space,
				     .name = m->pod.name,
				     .uid = m->pod.uid,
				     .service_account = m->pod.service_account};
	struct fetch_pending *pending;

	fetch_credentials(q->desk->options.fetch, &pod, m->token, on_reply, q, &pending);
	if (pending)
		q->pending = pending;
}

/* ---- metadata ---- */

static void on_document(void *arg, const struct fetch_document *document)
{
	static const enum upstream_reason reasons[] = {
		[FETCH_DOCUMENT_NOT_FOUND] = UPSTREAM_NOT_FOUND,
		[FETCH_DOCUMENT_UNAVAILABLE] = UPSTREAM_UNAVAILABLE,
		[FETCH_DOCUMENT_BUSY] = UPSTREAM_BUSY,
	};
	struct question *q = arg;
	const struct upstream_message m = {.type = UPSTREAM_DOCUMENT,
					   .document = {.id = q->id,
							.body = document->body,
							.valid_ms = to_ms(document->again_ns)}};

	q->document = NULL;
	if (document->class == FETCH_DOCUMENT)
		send_answer(q->desk, q->id, &m);
	else
		refuse(q->desk,
		       &(const struct upstream_refusal){.id = q->id,
							.reason = reasons[document->class],
							.message = document->why,
							.retry_ms = to_ms(document->again_ns)});
	question_free(q);
}

static void ask_metadata(struct question *q, const struct upstream_metadata *m)
{
	struct fetch_document_wait *wait;

	fetch_metadata_get(q->desk->options.metadata, m->path, on_document, q, &wait);
	if (wait)
		q->document = wait;
}

/* ---- reviews ---- */

static void give_verdict(const struct question *q, const struct kube_token_review_result *result)
{
	const struct upstream_message m = {.type = UPSTREAM_VERDICT,
					   .verdict = {.id = q->id,
						       .name_space = result->name_space,
						       .service_account = result->service_account,
						       .pod_uid = result->pod_uid,
						       .valid_ms = REVIEW_MS}};

	send_answer(q->desk, q->id, &m);
}

static bool is_of_a_pod(const struct kube_token_review_result *result)
{
	return *result->name_space && *result->service_account && *result->pod_uid;
}

static void on_review(void *arg, const struct kube_token_review_result *result)
{
	struct question *q = arg;
	struct upstream_refusal refusal = {.id = q->id,
					   .reason = UPSTREAM_TOKEN_INVALID,
					   .message = result->why,
					   .retry_ms = REVIEW_MS};

	q->review = NULL;
	if (result->error) {
		refusal.reason = UPSTREAM_UNAVAILABLE;
		refusal.retry_ms = 1000;
	} else if (result->authenticated && !is_of_a_pod(result)) {
		refusal.message = "not the token of a pod";
	}
	if (!result->error && result->authenticated && is_of_a_pod(result))
		give_verdict(q, result);
	else
		refuse(q->desk, &refusal);
	question_free(q);
}

static void ask_review(struct question *q, const struct upstream_review *m)
{
	const struct fetch_desk_options *o = &q->desk->options;
	const char *const audiences[] = {
		o->audience, m->purpose == UPSTREAM_FOR_STS ? o->sts_audience : NULL, NULL};
	struct upstream_refusal refusal = {.id = q->id, .retry_ms = 1000};
	struct pc_err err = {};
	int r = o->kube ? kube_token_review_start(o->kube, m->token, audiences, on_review, q,
						  &q->review, &err)
			: pc_err_set(&err, -ENOENT, "podcred has no API server to ask");

	if (r == 0)
		return;
	refusal.reason = r == -EINVAL ? UPSTREAM_TOKEN_INVALID : UPSTREAM_UNAVAILABLE;
	refusal.message = err.msg;
	refuse(q->desk, &refusal);
	question_free(q);
}

/* ---- what comes ---- */

static uint64_t id_of(const struct upstream_message *m)
{
	switch (m->type) {
	case UPSTREAM_CREDENTIALS:
		return m->credentials.id;
	case UPSTREAM_METADATA:
		return m->metadata.id;
	default:
		return m->review.id;
	}
}

static void on_question(struct fetch_desk *desk, const struct upstream_message *m)
{
	struct question *q = question_new(desk, id_of(m));

	if (!q)
		refuse_busy(desk, id_of(m));
	else if (m->type == UPSTREAM_CREDENTIALS)
		ask_credentials(q, &m->credentials);
	else if (m->type == UPSTREAM_METADATA)
		ask_metadata(q, &m->metadata);
	else
		ask_review(q, &m->review);
}

void daemon_desk_message(struct fetch_desk *desk, const struct upstream_message *m)
{
	switch (m->type) {
	case UPSTREAM_CREDENTIALS:
	case UPSTREAM_METADATA:
	case UPSTREAM_REVIEW:
		on_question(desk, m);
		break;
	case UPSTREAM_GONE:
		fetch_gone(desk->options.fetch, m->gone.pod_uid);
		break;
	default:
		break; /* not for us */
	}
}

/* ---- life ---- */

void daemon_desk_reset(struct fetch_desk *desk)
{
	while (!TAILQ_EMPTY(&desk->questions))
		question_free(TAILQ_FIRST(&desk->questions));
}

int daemon_desk_new(const struct fetch_desk_options *options, struct fetch_desk **ret)
{
	struct fetch_desk *desk = calloc(1, sizeof(*desk));

	if (!desk)
		return -ENOMEM;
	desk->options = *options;
	TAILQ_INIT(&desk->questions);
	*ret = desk;
	return 0;
}

struct fetch_desk *daemon_desk_free(struct fetch_desk *desk)
{
	if (!desk)
		return NULL;
	daemon_desk_reset(desk);
	free(desk);
	return NULL;
}
