/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's credential agent: accepts the connections that podcred redirects, asks the kernel who
 * is at the other end, and answers as the service at the dialled address would. The only header of
 * this module that other modules include.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct podcred_peer;
struct agent_server;
struct cred_store;
struct loop;
struct upstream_message;

#define AGENT_TOKEN_KEY_SIZE 32

#define AGENT_POD_UID_SIZE 64

/* Descriptors of the process that the agent has room for all its connections with, and that it can work with at all. */
#define AGENT_FILES	2560
#define AGENT_FILES_MIN 48

/* As podcred_peer(). Called from several threads at once; must not block. */
typedef int (*agent_peer_fn)(int fd, struct podcred_peer *peer, size_t size);

/* Zero means the default for every number and pointer that has one. Nothing in here is kept by
 * reference after agent_server_start() returns, but credentials and node_metrics. */
struct agent_options {
	const struct net_addr *listen; /* addresses to listen on, ports not zero */
	size_t n_listen;
	const int *listen_fds; /* plain TCP listeners made by the caller, who keeps them */
	size_t n_listen_fds;
	const struct net_addr *metrics; /* where GET /metrics is answered; NULL: nowhere */
	const char *node_metrics; /* a file that is passed on with them, the caller's; NULL: none */
	struct cred_store *credentials; /* the caller's; in use until agent_server_stop() */
	uint8_t token_key[AGENT_TOKEN_KEY_SIZE]; /* keep it over restarts, and so do IMDS tokens */
	agent_peer_fn peer; /* podcred_peer */
	unsigned wait_ms; /* for a pod's name and credentials; as each service has it */
	unsigned idle_timeout_s; /* from one answer to the next request; 10 */
	unsigned request_timeout_ms; /* to the first request, and for each one; 60000 */
	unsigned max_connections; /* of all pods, who share them; 1024 */
	unsigned
		max_files; /* descriptors of the process; fewer than AGENT_FILES: fewer connections */
	const char *pod_uid; /* that of the agent, which /readyz says; NULL, "": none */
	bool handover; /* take over from an agent of this user that has the addresses, too */
	bool late; /* does not listen before agent_server_listen() */
	bool require_authorization; /* 400 without an Authorization header on Pod Identity */
	/* Who is asked for what the associations have no keys for. Called in the thread of the loop, as
	 * upstream_send(). NULL: nobody. */
	int (*ask)(void *arg, const struct upstream_message *question);
	void *ask_arg;
	struct loop *loop; /* that of agent_server_turn(); in use until agent_server_stop() */
	/* What pods may read of the rest of IMDS, below "/latest/", by asking: a path, or with a slash at its end the
	 * tree below it. NULL ends it; the caller's, and in use until agent_server_stop(). NULL: nothing. */
	const char *const *metadata;
	bool verify_tokens; /* its text has to be the pod's own token: agent_server_trust() */
	/* A token's key is not known: there may be newer ones, for agent_server_trust(). Called from any thread,
	 * once in 30 s; must not block. NULL: there is nobody to ask. */
	void (*want_keys)(void *arg);
	void *want_keys_arg;
};

enum agent_verify {
	AGENT_VERIFY_OFF, /* any token, or none, as require_authorization says */
	AGENT_VERIFY_JWKS, /* by the cluster's keys */
	AGENT_VERIFY_REVIEW, /* by what the API server says of them, whom agent_options.ask asks */
};

/* Whom tokens of pods are believed. */
struct agent_token_trust {
	enum agent_verify verify;
	const char *jwks; /* for AGENT_VERIFY_JWKS: the keys, as crypto/jwks.h reads them */
	size_t jwks_len;
	const char *const *issuers; /* a token names one of them */
	size_t n_issuers; /* 0: the keys say enough */
	const char *audience; /* a token is for it; NULL: pods.eks.amazonaws.com */
	const char *sts_audience; /* or, at STS alone, for this one; NULL: sts.amazonaws.com */
	const char *node; /* this node's name; NULL: tokens may name any */
};

/* Listens, answers in threads of its own; what else is to be done, does the caller's loop by
 * agent_server_turn(). To be called inside the cgroup
 * that podcred knows as the agent's: a listener belongs to the cgroup it was made in. An address that
 * the node does not have yet is no error, while there is another to listen on. */
int agent_server_start(const struct agent_options *options, struct agent_server **ret,
		       struct pc_err *err);

/*
 * What is to be done beside answering, by one thread at a time: names that come late, connections that
 * dawdle, floods that end. agent_server_turn() does it, and returns after how many milliseconds it is to
 * be called again, or earlier: when agent_server_fd() is readable. When it is not called for seconds, health
 * checks fail: the lease ends with the loop.
 */
int agent_server_fd(const struct agent_server *server);
int agent_server_turn(struct agent_server *server);

/* Whether it listens on options->listen[i]; if not, tries again. 0, or why not. For one thread at a
 * time. */
int agent_server_listen(struct agent_server *server, size_t i, struct pc_err *err);

/* The same for options->metrics. 0 too when there is none. The agent starts without it. */
int agent_server_listen_metrics(struct agent_server *server, struct pc_err *err);

/*
 * For the thread of the loop: whom options->ask talks to is there, or has gone; what it has said, or the resolver. A
 * question that had no answer is asked again of the next one.
 */
void agent_server_connected(struct agent_server *server, bool connected);
void agent_server_told(struct agent_server *server, const struct upstream_message *m);

/* Whether somebody listens on one of options->listen already: with handover, an agent to take over from. */
bool agent_has_predecessor(const struct agent_options *options);

/* Connections of all pods that there is room for. */
unsigned agent_server_connections(const struct agent_server *server);

/* What libraries load at their first use, before the process is confined. */
void agent_prepare(void);

/* What became of the keys. */
struct agent_trusted {
	size_t keys, unusable; /* how many verify tokens, and how many cannot */
	char defect[160]; /* why the first of the latter cannot; empty: there is none */
};

/*
 * For a server that verifies tokens: by these from now on; until the first call none is right. Copies what it is given. By one
 * thread at a time. ret may be NULL. On error what was there before stays: -EINVAL (err says what is wrong with the
 * keys), -E2BIG, -ENOMEM.
 */
int agent_server_trust(struct agent_server *server, const struct agent_token_trust *trust,
		       struct agent_trusted *ret, struct pc_err *err);

/* For an agent that another has taken over from, before it is stopped: each answer is the last one of its
 * connection from now on. Returns how many connections somebody waits on, or has not asked on yet; to be called until
 * there are none, or no longer. It answers all the while. */
unsigned agent_server_drain(struct agent_server *server);

/* Closes the listeners and all connections, idle and waiting ones too, and frees. NULL is fine. */
void agent_server_stop(struct agent_server *server);
