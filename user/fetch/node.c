// SPDX-License-Identifier: Apache-2.0
#include "fetch/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "config/credentials.h"
#include "fetch/clock.h"
#include "fetch/node_place.h"

#define KEY	  "node" /* of the one entry that there is */
#define MAX_WAITS 100000 /* flights of pods, which are bounded themselves */

static const struct fetch_place *const places[] = {
	[CONFIG_NODE_ENVIRONMENT] = &fetch_place_environment,
	[CONFIG_NODE_FILE] = &fetch_place_file,
	[CONFIG_NODE_WEB_IDENTITY] = &fetch_place_web_identity,
	[CONFIG_NODE_IMDS] = &fetch_place_imds,
	[CONFIG_NODE_EXEC] = &fetch_place_exec,
	[CONFIG_NODE_ROLES_ANYWHERE] = &fetch_place_roles_anywhere,
};

struct fetch_node {
	const struct fetch_env *env;
	void (*said)(void *arg, bool bad, const char *line);
	void *arg;
	struct fetch_ticker *ticker;
	struct fetch_cache *cache;
	const struct config_node_credentials *used; /* that of the last attempt; NULL: none yet */
	char text[FETCH_PLACE_SIZE]; /* which it is */
	uint64_t version;
	bool chained, trouble;
};

/* An attempt. */
struct flight {
	struct fetch_node *node;
	struct fetch_flight *flight;
	struct fetch_job *job;
};

/* ---- which place ---- */

static const struct config_node_credentials *choose(const struct fetch_node *node,
						    char text[FETCH_PLACE_SIZE])
{
	const struct config_credentials *config = node->env->config;

	for (size_t i = 0; i < config->n_node; i++)
		if (places[config->node[i].kind]->has_some(node->env, &config->node[i], text))
			return &config->node[i];
	return NULL;
}

static uint64_t version_of(const struct config_node_credentials *used)
{
	const struct fetch_place *place = used ? places[used->kind] : NULL;

	return place && place->version ? place->version(used) : 0;
}

static void use(struct fetch_node *node, const struct config_node_credentials *place,
		const char *text)
{
	char line[FETCH_PLACE_SIZE + 64];

	node->version = version_of(place);
	if (node->used == place && !strcmp(node->text, text))
		return;
	node->used = place;
	node->chained = false;
	snprintf(node->text, sizeof(node->text), "%s", text);
	snprintf(line, sizeof(line), "the node's own credentials: %s", text);
	if (place)
		node->said(node->arg, false, line);
}

/* ---- an attempt ---- */

/* Once when it begins, and once when it is over. */
static void note(struct fetch_node *node, const struct fetch_result *result)
{
	char line[FETCH_PLACE_SIZE + 400];
	bool bad = result->class != FETCH_GRANTED;

	if (bad == node->trouble)
		return;
	node->trouble = bad;
	if (bad)
		snprintf(line, sizeof(line), "no credentials of the node (%s): %.300s", node->text,
			 result->why ?: "it failed");
	else
		snprintf(line, sizeof(line), "credentials of the node are there again (%s)",
			 node->text);
	node->said(node->arg, bad, line);
}

static void on_done(void *arg, const struct fetch_result *result)
{
	struct flight *flight = arg;
	struct fetch_node *node = flight->node;
	struct fetch_flight *of_cache = flight->flight;

	free(flight);
	note(node, result);
	fetch_flight_end(of_cache, result);
}

static int start_none(struct fetch_node *node, struct flight *flight)
{
	const struct fetch_result result = {
		.class = FETCH_NODE,
		.why = "none of the places in nodeCredentials has any; configure one, or use the "
		       "source webIdentity"};

	return fetch_job_later(node->env->loop, &result, on_done, flight, &flight->job);
}

static int start(void *arg, void *request, struct fetch_flight *of_cache, void **ret_job,
		 struct pc_err *err)
{
	struct fetch_node *node = arg;
	struct flight *flight = calloc(1, sizeof(*flight));
	char text[FETCH_PLACE_SIZE] = "nowhere";
	const struct config_node_credentials *place = choose(node, text);
	int r;

	(void)request;
	if (!flight)
		return pc_err_set(err, -ENOMEM, "no memory");
	*flight = (struct flight){.node = node, .flight = of_cache};
	use(node, place, text);
	r = place ? places[place->kind]->start(node->env, place, on_done, flight, &flight->job, err)
		  : start_none(node, flight);
	if (r < 0)
		free(flight);
	else
		*ret_job = flight;
	return r;
}

static void cancel(void *arg, void *job)
{
	struct flight *flight = job;

	(void)arg;
	fetch_job_cancel(flight->job);
	free(flight);
}

static void free_request(void *request)
{
	(void)request;
}

/* ---- for who uses them ---- */

bool fetch_node_ask(struct fetch_node *node, fetch_answer_fn *done, void *arg,
		    struct fetch_answer *ret, struct fetch_wait **ret_wait)
{
	const struct fetch_question question = {.pod = KEY, .key = KEY, .done = done, .arg = arg};

	if (node->used && version_of(node->used) != node->version)
		fetch_cache_renew(node->cache, KEY);
	return fetch_cache_ask(node->cache, &question, ret, ret_wait);
}

void fetch_node_reject(struct fetch_node *node, const char *access_key_id)
{
	fetch_cache_reject(node->cache, KEY, access_key_id);
}

void fetch_node_set_chained(struct fetch_node *node)
{
	node->chained = true;
}

bool fetch_node_is_chained(const struct fetch_node *node)
{
	return node->chained;
}

/* ---- life ---- */

struct fetch_node *fetch_node_free(struct fetch_node *node)
{
	if (!node)
		return NULL;
	fetch_cache_free(node->cache);
	fetch_ticker_free(node->ticker);
	free(node);
	return NULL;
}

static int make_cache(struct fetch_node *node)
{
	struct fetch_cache_options options = {
		.arg = node,
		.start = start,
		.cancel = cancel,
		.free_request = free_request,
		.max_pods = 1,
		.max_flights = 1,
		.max_waits = MAX_WAITS,
	};
	int r = fetch_ticker_new(node->env->loop, &node->ticker);

	if (r < 0)
		return r;
	options.clock = fetch_ticker_clock(node->ticker);
	r = fetch_cache_new(&options, &node->cache);
	if (r == 0)
		fetch_ticker_drive(node->ticker, node->cache);
	return r;
}

int fetch_node_new(const struct fetch_env *env, void (*said)(void *arg, bool bad, const char *line),
		   void *arg, struct fetch_node **ret)
{
	struct fetch_node *node = calloc(1, sizeof(*node));
	int r;

	if (!node)
		return -ENOMEM;
	*node = (struct fetch_node){.env = env, .said = said, .arg = arg};
	r = make_cache(node);
	if (r < 0)
		fetch_node_free(node);
	else
		*ret = node;
	return r;
}
