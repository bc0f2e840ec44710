// SPDX-License-Identifier: Apache-2.0
/*
 * podcred fetch: it holds what credentials are made with, and the connections to AWS and to the API server. No pod
 * talks to it. podcred serve, which pods do talk to, may ask it for what associations say, and nothing else.
 */
#include "daemon/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/plural.h"
#include "credentials/store.h"
#include "daemon/fetch_desk.h"
#include "daemon/landlock.h"
#include "daemon/privileges.h"
#include "daemon/sandbox.h"
#include "daemon/sandbox_fetch.h"
#include "daemon/service.h"
#include "daemon/signals.h"
#include "daemon/supervised.h"
#include "fetch/fetch.h"
#include "fetch/metadata.h"
#include "fetch/trust.h"
#include "http/client.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "upstream/upstream.h"

#define FLUSH_NS (100 * CLOCK_MS)

struct daemon_fetch {
	const struct daemon_fetch_options *options;
	const struct config *config; /* in force */
	struct config *received; /* from podcred run; NULL: none was */
	int associations_fd, peer_fd; /* from there, too; negative: not (yet) */
	struct loop *loop;
	struct cred_store *associations;
	struct kube_config *kube_config; /* NULL: this is no cluster, or the client has it */
	struct http_client *http;
	struct kube_client *kube;
	struct fetch *fetch;
	struct fetch_metadata *metadata;
	struct fetch_trust *trust;
	struct fetch_desk *desk;
	struct upstream *upstream;
	struct loop_timer *flush; /* set: what serve has been told is to be forgotten */
	int channel; /* to podcred run; negative: it did not start us */
	bool connected;
};

/* ---- what is said ---- */

/* One line for each attempt: who audits AWS's own log finds the other half here. */
static void on_tried(void *arg, const struct fetch_report *report)
{
	const struct fetch_result *result = report->result;
	bool bad = result->class != FETCH_GRANTED;
	char ms[24];

	(void)arg;
	snprintf(ms, sizeof(ms), "%llu", report->took_ns / CLOCK_MS);
	log_event(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "fetched", "result",
		  fetch_class_name(result->class), "namespace", report->pod->namespace, "pod",
		  report->pod->name, "service_account", report->pod->service_account, "pod_uid",
		  report->pod->uid, "source", report->source, "role_arn", report->role_arn,
		  "session_name", report->session_name, "access_key_id", result->access_key_id,
		  "latency_ms", ms, "why", bad ? result->why : NULL, NULL);
}

static void on_trouble(void *arg, const char *line)
{
	(void)arg;
	log_warn("%s", line);
}

/* ---- the agent ---- */

static void send_keys(struct daemon_fetch *d)
{
	struct upstream_message m = {.type = UPSTREAM_KEYS};

	fetch_trust_now(d->trust, &m.keys);
	if (d->connected && upstream_send(d->upstream, UPSTREAM_FETCH, &m) < 0)
		log_warn("the agent cannot be told how tokens are verified");
}

static void on_trust_changed(void *arg)
{
	send_keys(arg);
}

static void flush(void *arg)
{
	const struct daemon_fetch *d = arg;
	const struct upstream_message m = {.type = UPSTREAM_FLUSH};

	if (d->connected && upstream_send(d->upstream, UPSTREAM_FETCH, &m) < 0)
		log_warn("the agent cannot be told that associations have changed");
}

static void on_message(void *arg, enum upstream_role role, const struct upstream_message *m)
{
	struct daemon_fetch *d = arg;

	(void)role;
	if (m->type == UPSTREAM_WANT_KEYS)
		fetch_trust_renew(d->trust);
	else
		daemon_desk_message(d->desk, m);
}

static void on_state(void *arg, enum upstream_role role, bool connected)
{
	struct daemon_fetch *d = arg;

	(void)role;
	d->connected = connected;
	if (connected) {
		log_info("connected to the agent");
		send_keys(d);
		return;
	}
	log_warn("the agent is gone");
	daemon_desk_reset(d->desk);
}

/* podcred run hands over an end of a pair of sockets, and another one when the agent is started again. */
static void adopt(struct daemon_fetch *d)
{
	int r;

	if (!d->upstream || d->peer_fd < 0)
		return;
	r = upstream_adopt(d->upstream, TAKE_FD(d->peer_fd));
	if (r < 0)
		log_warn("cannot talk to the agent: %s; restart podcred run", strerror(-r));
}

static int connect_to_agent(struct daemon_fetch *d, struct pc_err *err)
{
	const struct upstream_events events = {
		.message = on_message, .state = on_state, .trouble = on_trouble, .arg = d};
	const char *path = daemon_is_supervised() ? NULL : d->options->socket;
	int r = upstream_dial(d->loop, path, UPSTREAM_FETCH, &events, &d->upstream, err);

	if (r == 0)
		adopt(d);
	return r;
}

/* ---- associations ---- */

/* A list of objects changes many at once. */
static void on_changed(void *arg)
{
	const struct daemon_fetch *d = arg;

	loop_timer_after(d->flush, FLUSH_NS);
}

static void say_reload(struct daemon_fetch *d, int r, const struct pc_err *err)
{
	if (r < 0) {
		log_warn("%s; the associations read before stay in force", err->msg);
		return;
	}
	log_info("%zu association%s read again", cred_store_count(d->associations),
		 plural(cred_store_count(d->associations)));
	flush(d);
}

/* ---- the configuration ---- */

/* It decides which clients there are, and how this process is confined: that is made anew, not changed. */
static void compare(struct daemon_fetch *d, const struct config *now)
{
	/* a difference in the padding, too, costs no more than a start */
	if (!memcmp(&now->credentials, /* NOLINT(bugprone-suspicious-memory-comparison) */
		    &d->config->credentials, sizeof(now->credentials)))
		return;
	if (d->channel < 0) {
		log_warn("the section credentials of the configuration has changed; restart "
			 "podcred fetch for it");
		return;
	}
	log_info("the section credentials of the configuration has changed; starting again");
	loop_stop(d->loop, 0);
}

static void reread_config(struct daemon_fetch *d, int fd)
{
	_cleanup_free_ struct config *now = malloc(sizeof(*now));
	const char *path = d->options->config_path;
	struct pc_err err = {};
	int r = -ENOMEM;

	if (now)
		r = fd >= 0 ? config_read(fd, path, now, &err) : config_load(path, now, &err);
	if (r < 0)
		log_warn("%s; the configuration read before stays in force", err.msg);
	else
		compare(d, now);
}

/* ---- signals and the channel ---- */

static void on_reload(void *arg, int sig)
{
	struct daemon_fetch *d = arg;
	struct pc_err err = {};

	(void)sig;
	if (d->channel >= 0)
		return; /* podcred run sends the files */
	if (d->associations)
		say_reload(d, cred_store_reload(d->associations, NULL, &err), &err);
	if (d->options->config_path)
		reread_config(d, -EBADF);
}

static void on_stop(void *arg, int sig)
{
	const struct daemon_fetch *d = arg;

	(void)sig;
	loop_stop(d->loop, 0);
}

static void take(struct daemon_fetch *d, enum supervised_what what, int fd)
{
	_cleanup_close_ int owned = fd;
	struct pc_err err = {};

	if (what == SUPERVISED_PEER) {
		cleanup_close(&d->peer_fd);
		d->peer_fd = TAKE_FD(owned);
		adopt(d);
	} else if (what == SUPERVISED_CONFIG) {
		reread_config(d, fd);
	} else if (d->associations) {
		say_reload(d, cred_store_reread(d->associations, fd, &err), &err);
	}
}

static void on_channel(void *arg, unsigned ready)
{
	struct daemon_fetch *d = arg;
	enum supervised_what what;
	int fd = daemon_supervised_receive(d->channel, &what);

	(void)ready;
	if (fd >= 0) {
		take(d, what, fd);
	} else if (fd == -EPIPE) {
		log_info(SUPERVISED_GONE);
		loop_stop(d->loop, 0);
	} else if (fd != -EAGAIN) {
		log_warn("cannot receive what podcred run sends: %s; send SIGHUP to it again",
			 strerror(-fd));
	}
}

/* What run has sent before it executed us: the configuration, if it has one, and the associations. */
static int receive(struct daemon_fetch *d, enum supervised_what wanted, int *ret,
		   struct pc_err *err)
{
	enum supervised_what what;
	int fd = daemon_supervised_receive(d->channel, &what);

	if (fd < 0)
		return pc_err_set(err, fd, SUPERVISED_GONE);
	if (what != wanted) {
		close(fd);
		return pc_err_set(err, -EPROTO, "podcred run is of another version; restart it");
	}
	*ret = fd;
	return 0;
}

static int receive_config(struct daemon_fetch *d, struct pc_err *err)
{
	_cleanup_close_ int fd = -EBADF;
	int r = receive(d, SUPERVISED_CONFIG, &fd, err);

	if (r < 0)
		return r;
	d->received = malloc(sizeof(*d->received));
	if (!d->received)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = config_read(fd, d->options->config_path, d->received, err);
	d->config = d->received;
	return r;
}

static int find_channel(struct daemon_fetch *d, struct pc_err *err)
{
	struct loop_watch *watch;
	int r;

	if (!daemon_is_supervised())
		return 0;
	d->channel = daemon_supervised_open("podcred-fetch", err);
	if (d->channel < 0)
		return d->channel;
	r = d->options->config_path ? receive_config(d, err) : 0;
	if (r == 0 && d->options->associations)
		r = receive(d, SUPERVISED_ASSOCIATIONS, &d->associations_fd, err);
	if (r < 0)
		return r;
	r = loop_watch(d->loop, d->channel, LOOP_READ, on_channel, d, &watch);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static int open_loop(struct daemon_fetch *d, struct pc_err *err)
{
	int r = loop_new(&d->loop);

	r = r ?: daemon_signals(d->loop, on_stop, on_reload, d);
	r = r ?: loop_timer_new(d->loop, flush, d, &d->flush);
	return r < 0 ? pc_err_set(err, r, "cannot begin: %s", strerror(-r)) : 0;
}

/* ---- who we are ---- */

static bool runs_programs(const struct daemon_fetch *d)
{
	const struct config_credentials *c = &d->config->credentials;
	struct cred_table *table = d->associations ? cred_store_table(d->associations) : NULL;
	bool runs = d->kube_config && kube_config_runs_programs(d->kube_config);

	for (size_t i = 0; i < c->n_node; i++)
		runs = runs || c->node[i].kind == CONFIG_NODE_EXEC ||
		       (c->node[i].kind == CONFIG_NODE_FILE && fetch_profile_runs_program(c, i));
	for (size_t i = 0; table && i < cred_table_count(table); i++)
		runs = runs || cred_table_at(table, i)->source == CRED_SOURCE_EXEC;
	cred_table_unref(table);
	return runs;
}

static void confine(const struct daemon_fetch *d)
{
	bool runs = runs_programs(d);
	int r = SANDBOX_REFUSES ? daemon_landlock_read_only(runs) : 0;

	if (r < 0)
		log_debug("no Landlock: %s", strerror(-r));
	r = daemon_sandbox_fetch_enter(runs, SANDBOX_REFUSES);
	if (r < 0)
		log_warn("no seccomp filter: %s; it runs without one", strerror(-r));
}

static void say_doubts(void)
{
	if (geteuid() == 0)
		log_warn("fetch runs as root, though without capabilities; give it a user of its "
			 "own with --user");
}

/* ---- the beginning ---- */

/* Before we become somebody else: the file may be root's. What it names has to be ours to read. */
static int find_api(struct daemon_fetch *d, struct pc_err *err)
{
	const struct daemon_fetch_options *o = d->options;
	struct pc_err none = {};
	int r;

	if (o->kubeconfig)
		return kube_config_file(o->kubeconfig, o->context, &d->kube_config, err);
	r = kube_config_in_cluster(NULL, &d->kube_config, &none);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		*err = none;
	return r;
}

static int open_associations(struct daemon_fetch *d, struct pc_err *err)
{
	const struct config_credentials *c = &d->config->credentials;
	const char *path = d->options->associations;

	if (!path && !c->objects && !c->migration.irsa && !c->migration.kube2iam &&
	    !c->migration.kiam && c->source != CONFIG_SOURCE_EKS_AUTH &&
	    c->source != CONFIG_SOURCE_BROKER)
		return pc_err_set(
			err, -EINVAL,
			"nothing says which role a pod gets; give --associations FILE, or "
			"turn on objects or an annotation in the configuration");

	return path ? cred_store_open(path, d->associations_fd > 0 ? d->associations_fd : 0,
				      &d->associations, err)
		    : 0;
}

static int make_kube(struct daemon_fetch *d, struct pc_err *err)
{
	int r;

	if (!d->kube_config)
		return 0;
	if (kube_config_warning(d->kube_config))
		log_warn("%s", kube_config_warning(d->kube_config));
	r = kube_client_new(d->loop, d->http, TAKE_PTR(d->kube_config), &d->kube);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static void on_ready(void *arg)
{
	struct daemon_fetch *d = arg;
	struct pc_err err = {};

	if (connect_to_agent(d, &err) == 0)
		return;
	log_error("%s", err.msg);
	loop_stop(d->loop, 1);
}

static int make_fetch(struct daemon_fetch *d, struct pc_err *err)
{
	const struct config_credentials *c = &d->config->credentials;
	const struct fetch_options options = {
		.loop = d->loop,
		.http = d->http,
		.kube = d->kube,
		.config = c,
		.associations = d->associations,
		.node_name = d->options->node ?: getenv("NODE_NAME"),
		.events = {.arg = d,
			   .said = daemon_service_said,
			   .tried = on_tried,
			   .changed = on_changed,
			   .ready = on_ready},
	};
	const struct fetch_trust_options trust = {.loop = d->loop,
						  .kube = d->kube,
						  .config = c,
						  .said = daemon_service_said,
						  .changed = on_trust_changed,
						  .arg = d};
	int r = fetch_new(&options, &d->fetch, err);

	if (r < 0)
		return r;
	r = fetch_metadata_new(fetch_imds(d->fetch), c, &d->metadata);
	r = r ?: fetch_trust_new(&trust, &d->trust);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static int make_desk(struct daemon_fetch *d, struct pc_err *err)
{
	const struct fetch_desk_options options = {
		.fetch = d->fetch,
		.metadata = d->metadata,
		.kube = d->kube,
		.audience = d->config->credentials.tokens.audience,
		.sts_audience = d->config->credentials.web_identity_audience,
		.upstream = &d->upstream,
	};
	int r = daemon_desk_new(&options, &d->desk);

	if (r < 0)
		return pc_err_set(err, r, "no memory");
	return fetch_is_ready(d->fetch) ? connect_to_agent(d, err) : 0;
}

static int start(struct daemon_fetch *d, struct pc_err *err)
{
	int r = find_channel(d, err);

	r = r ?: find_api(d, err);
	r = r ?: open_associations(d, err);
	r = r ?: daemon_service_drop(d->options->user, daemon_privileges_find_fetch_user, err);
	if (r < 0)
		return r;
	r = log_start(); /* its thread has no more rights than we have now */
	if (r < 0)
		return pc_err_set(err, r, "cannot start a thread: %s", strerror(-r));
	confine(d);
	r = http_client_new(d->loop, &d->http);
	if (r < 0)
		return pc_err_set(err, r, "no HTTP client: %s", strerror(-r));
	r = make_kube(d, err);
	r = r ?: make_fetch(d, err);
	return r ?: make_desk(d, err);
}

static void finish(struct daemon_fetch *d)
{
	upstream_free(d->upstream);
	daemon_desk_free(d->desk);
	fetch_trust_free(d->trust);
	fetch_metadata_free(d->metadata);
	fetch_free(d->fetch);
	kube_client_free(d->kube);
	kube_config_free(d->kube_config);
	http_client_free(d->http);
	loop_free(d->loop);
	cred_store_close(d->associations);
	cleanup_close(&d->channel);
	cleanup_close(&d->associations_fd);
	cleanup_close(&d->peer_fd);
	free(d->received);
}

int daemon_fetch(const struct daemon_fetch_options *options, struct pc_err *err)
{
	_cleanup_(finish) struct daemon_fetch d = {.options = options,
						   .config = options->config,
						   .channel = -EBADF,
						   .associations_fd = -EBADF,
						   .peer_fd = -EBADF};
	int r = open_loop(&d, err);

	if (r < 0)
		return r;
	upstream_wipe_json();
	daemon_privileges_hide_memory();
	r = start(&d, err);
	if (r < 0)
		return r;
	say_doubts();
	return loop_run(d.loop);
}
