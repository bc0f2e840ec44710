// SPDX-License-Identifier: Apache-2.0
#include "fetch/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/credentials.h"
#include "kube/token_keys.h"

#define KEEP_NS                                                                                    \
	(300 * CLOCK_S) /* a new key signs tokens at once: it is not to be missing for long */
#define FIRST_NS   (2 * CLOCK_S)
#define MOST_NS	   (60 * CLOCK_S)
#define MAX_ISSUER 1024

struct fetch_trust {
	struct fetch_trust_options options;
	struct kube_token_keys *call;
	struct loop_timer *timer;
	uint64_t wait_ns; /* before the next attempt, when the last one failed */
	char *jwks; /* NULL: not known (yet) */
	char issuer[MAX_ISSUER]; /* of the cluster; empty: not asked for, or not known */
	bool trouble;
};

static void say(const struct fetch_trust *trust, bool bad, const char *line)
{
	trust->options.said(trust->options.arg, bad, line);
}

/* Not all nodes at once. */
static uint64_t jitter(uint64_t ns)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		return ns;
	return ns / 4 * 3 + ns / 2 * (random >> 16) / 65536;
}

static void fail(struct fetch_trust *trust, const char *why)
{
	char line[700];

	loop_timer_after(trust->timer, jitter(trust->wait_ns));
	trust->wait_ns = trust->wait_ns < MOST_NS / 2 ? trust->wait_ns * 2 : MOST_NS;
	if (trust->trouble)
		return;
	trust->trouble = true;
	snprintf(line, sizeof(line), "the cluster's keys cannot be had: %.500s; %s", why,
		 trust->jwks ? "those from before stay in force"
			     : "tokens of pods are reviewed by the API server");
	say(trust, true, line);
}

static void keep(struct fetch_trust *trust, const struct kube_token_keys_result *result)
{
	const char *issuer = result->issuer ?: trust->issuer;
	bool first = !trust->jwks;
	bool same =
		trust->jwks && !strcmp(trust->jwks, result->jwks) && !strcmp(trust->issuer, issuer);
	char *jwks = same ? NULL : strdup(result->jwks);

	if (first || trust->trouble)
		say(trust, false, "tokens of pods are verified by the cluster's keys");
	trust->trouble = false;
	trust->wait_ns = FIRST_NS;
	loop_timer_after(trust->timer, jitter(KEEP_NS));
	if (!jwks)
		return;
	free(trust->jwks);
	trust->jwks = jwks;
	if (issuer != trust->issuer)
		snprintf(trust->issuer, sizeof(trust->issuer), "%s", issuer);
	trust->options.changed(trust->options.arg);
}

static void on_keys(void *arg, const struct kube_token_keys_result *result)
{
	struct fetch_trust *trust = arg;

	trust->call = NULL;
	if (result->error)
		fail(trust, result->why);
	else if (result->jwks_len >= UPSTREAM_BODY_SIZE)
		fail(trust, "there are too many");
	else
		keep(trust, result);
}

static void ask(void *arg)
{
	struct fetch_trust *trust = arg;
	const struct fetch_trust_options *o = &trust->options;
	struct pc_err err = {};

	if (kube_token_keys_start(o->kube, !o->config->tokens.n_issuers, on_keys, trust,
				  &trust->call, &err) < 0)
		fail(trust, err.msg);
}

void fetch_trust_now(const struct fetch_trust *trust, struct upstream_keys *ret)
{
	const struct config_credentials *config = trust->options.config;

	*ret = (struct upstream_keys){.verify = UPSTREAM_VERIFY_REVIEW,
				      .audience = config->tokens.audience,
				      .sts_audience = config->web_identity_audience};
	if (config->tokens.verify == CONFIG_VERIFY_OFF || !trust->options.kube)
		ret->verify = UPSTREAM_VERIFY_OFF;
	else if (config->tokens.verify == CONFIG_VERIFY_JWKS && trust->jwks)
		ret->verify = UPSTREAM_VERIFY_JWKS;
	if (ret->verify == UPSTREAM_VERIFY_JWKS)
		ret->jwks = trust->jwks;
	for (size_t i = 0; i < config->tokens.n_issuers && i < UPSTREAM_LIST_MAX; i++)
		ret->issuers.v[ret->issuers.n++] = config->tokens.issuers[i];
	if (!ret->issuers.n && trust->issuer[0])
		ret->issuers.v[ret->issuers.n++] = trust->issuer;
}

void fetch_trust_renew(struct fetch_trust *trust)
{
	if (trust->jwks && !trust->call)
		loop_timer_after(trust->timer, 0);
}

static int begin(struct fetch_trust *trust)
{
	const struct fetch_trust_options *o = &trust->options;
	int r = loop_timer_new(o->loop, ask, trust, &trust->timer);

	if (r < 0)
		return r;
	if (o->config->tokens.verify == CONFIG_VERIFY_JWKS && o->kube)
		loop_timer_after(trust->timer, 0);
	else if (o->config->tokens.verify != CONFIG_VERIFY_OFF && !o->kube)
		say(trust, false,
		    "tokens of pods are not verified, as there is no API server to say how: the "
		    "kernel alone says who asks");
	return 0;
}

int fetch_trust_new(const struct fetch_trust_options *options, struct fetch_trust **ret)
{
	struct fetch_trust *trust = calloc(1, sizeof(*trust));
	int r;

	if (!trust)
		return -ENOMEM;
	trust->options = *options;
	trust->wait_ns = FIRST_NS;
	r = begin(trust);
	if (r < 0)
		free(trust);
	else
		*ret = trust;
	return r;
}

struct fetch_trust *fetch_trust_free(struct fetch_trust *trust)
{
	if (!trust)
		return NULL;
	kube_token_keys_cancel(trust->call);
	loop_timer_free(trust->timer);
	free(trust->jwks);
	free(trust);
	return NULL;
}
