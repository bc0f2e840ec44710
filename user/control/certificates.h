/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane's own certificates, without anybody else's help: an authority and a server's certificate in one Secret, and
 * the authority in whatever has to trust it: the webhook's registration, and the APIService. All replicas do the same, and the API
 * server decides between them: who creates the Secret second takes the first one's, who writes an old one is refused.
 * Everything is looked at again all the time, so what somebody deletes or overwrites comes back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct control_certificates;
struct kube_client;
struct loop;

struct control_certificates_options {
	const char *name_space, *secret; /* of the Secret */
	const char *const *
		names; /* DNS names of the server, up to NULL; the first is how the API server calls it */
	/* A MutatingWebhookConfiguration, and the webhook in it; NULL: none */
	const char *configuration, *webhook;
	const char *api_service; /* "v1.eks.podcred.io"; NULL: none */
	const char *
		config_map; /* of the Secret's namespace: gets the authority as ca.crt; NULL: none */
	/* 0: as everybody should have it */
	unsigned every_ms; /* how often it is looked at: 30 s */
	unsigned settle_s; /* between steps of a change of the authority: 300 */
	unsigned server_life_s, authority_life_s; /* 90 days, 10 years */
};

#define CONTROL_WHY_MAX 1200

struct control_certificates_state {
	bool ready; /* there is a certificate to serve with */
	time_t expires; /* that one; 0: none */
	bool published; /* who has to trust it does */
	unsigned authorities; /* that are trusted at present; two while it is changed */
	uint64_t issued; /* by this process */
	char why[CONTROL_WHY_MAX]; /* what is wrong, and the next step: one line; empty: nothing */
};

struct control_certificates_events {
	/* PEM texts to serve with from now on; valid during the call. May be NULL. */
	void (*changed)(void *arg, const char *certificate, const char *key);
	/* A line for the log: what this process has changed, or found. */
	void (*note)(void *arg, const char *line);
	/* why has changed. */
	void (*state)(void *arg, const struct control_certificates_state *state);
};

/* Strings and events have to outlive it. Begins from the loop. -ENOMEM. */
int control_certificates_new(struct loop *loop, struct kube_client *client,
			     const struct control_certificates_options *options,
			     const struct control_certificates_events *events, void *arg,
			     struct control_certificates **ret);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct control_certificates *control_certificates_free(struct control_certificates *certificates);

const struct control_certificates_state *control_certificates_state(
	const struct control_certificates *certificates);
