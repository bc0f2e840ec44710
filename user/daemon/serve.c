// SPDX-License-Identifier: Apache-2.0
#include "daemon/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "agent/agent.h"
#include "base/caps.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/plural.h"
#include "base/secret_pool.h"
#include "config/config.h"
#include "credentials/store.h"
#include "daemon/fetch_link.h"
#include "daemon/landlock.h"
#include "daemon/privileges.h"
#include "daemon/sandbox.h"
#include "daemon/signals.h"
#include "daemon/supervised.h"
#include "daemon/token_key.h"
#include "daemon/token_keys.h"
#include "identity/pod.h"
#include "podcred/podcred.h"

#define RETRY_MAX_S   30
#define DRAIN_MS      8000 /* less than the grace period of its pod, 10 s */
#define DRAIN_POLL_MS 20
#define EARLY_S	      600
#define EARLY_LOOK_S  1 /* whether the other agent still answers */

_Static_assert(DAEMON_TOKEN_KEY_SIZE == AGENT_TOKEN_KEY_SIZE, "one key");

/* Memory here holds credentials, also in buffers of libyaml's. */
static void harden(void)
{
	struct rlimit files;

	/* a descriptor for each connection that the agent admits */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	daemon_privileges_hide_memory();
}

/* The main thread's own: signals, the channel, addresses that come late, and what the agent has to do
 * beside answering. Requests are answered by threads of libmicrohttpd. */
struct serve {
	const struct serve_options *options;
	const struct config_credentials *config;
	struct config *received; /* that, by podcred run; NULL: the options have it */
	struct cred_store *credentials;
	const char *metadata[CONFIG_MAX_IMDS + 1]; /* ends with NULL */
	struct agent_server *server;
	struct loop *loop;
	struct loop_watch *agent; /* its descriptor */
	struct fetch_link fetch;
	int channel; /* to podcred run; negative: it did not start us */
	bool listens
		[SERVE_LISTEN_MAX]; /* the node has that address by now: IPv6 may be off, or late */
	struct loop_timer *turn, *retry;
	bool tells; /* metrics */
	bool early; /* another agent answers, and this one could not yet */
	unsigned early_s; /* for so long */
	bool swappable; /* it was said that secrets may be swapped */
	unsigned delay_s; /* before the next try */
	int64_t drain_ms; /* it ends by then, or when nobody waits any more; 0: it does not end */
};

static void say_reload(struct cred_store *credentials, int r, const struct pc_err *err)
{
	if (r < 0)
		log_warn("%s; the associations read before stay in force", err->msg);
	else
		log_info("%zu association%s read again", cred_store_count(credentials),
			 plural(cred_store_count(credentials)));
}

static const char *listen_text(const struct net_addr *addr, char text[NET_ADDR_TEXT])
{
	return net_addr_format(addr->ip, addr->port, text, NET_ADDR_TEXT);
}

static bool listen_on(const struct serve *serve, size_t i, bool first)
{
	char text[NET_ADDR_TEXT];
	struct pc_err err = {};

	if (agent_server_listen(serve->server, i, &err) == 0) {
		log_info("agent ready on %s: %zu association%s",
			 listen_text(&serve->options->listen[i], text),
			 cred_store_count(serve->credentials),
			 plural(cred_store_count(serve->credentials)));
		return true;
	}
	if (first)
		log_warn("%s. Pods that are sent there are refused; the agent serves the others, "
			 "and tries again",
			 err.msg);
	return false;
}

/* Never a reason to give out no credentials. */
static bool tell_metrics(const struct serve *serve, bool first)
{
	char text[NET_ADDR_TEXT];
	struct pc_err err = {};

	if (!serve->options->metrics.port)
		return true;
	if (agent_server_listen_metrics(serve->server, &err) == 0) {
		log_info("metrics ready on http://%s/metrics",
			 listen_text(&serve->options->metrics, text));
		return true;
	}
	if (first)
		log_warn("%s. The agent serves without metrics, and tries again", err.msg);
	return false;
}

/* Says once what is missing, and once that it has come. */
static void listen_again(void *arg)
{
	struct serve *serve = arg;
	bool first = serve->delay_s == 0, missing = false;

	for (size_t i = 0; i < serve->options->n_listen; i++) {
		serve->listens[i] = serve->listens[i] || listen_on(serve, i, first);
		missing = missing || !serve->listens[i];
	}
	serve->tells = serve->tells || tell_metrics(serve, first);
	missing = missing || !serve->tells;
	serve->delay_s = first ? 1 : serve->delay_s * 2;
	if (serve->delay_s > RETRY_MAX_S)
		serve->delay_s = RETRY_MAX_S;
	if (missing)
		loop_timer_after(serve->retry, serve->delay_s * CLOCK_S);
}

/* An agent that listens has every new connection from then on, and one that knows no keys yet has pods wait for
 * them. Where another one still answers, this one listens when it can answer as well. */
static bool is_early(const struct serve *serve, const struct agent_options *agent)
{
	return agent->handover && serve->fetch.upstream && agent_has_predecessor(agent);
}

static void end_early(struct serve *serve)
{
	if (serve->early)
		listen_again(serve);
	serve->early = false;
}

static void on_fetch_ready(void *arg)
{
	end_early(arg);
}

/* Of no use to anybody is to wait for an agent that has gone, or for ever. */
static void look_early(struct serve *serve)
{
	const struct agent_options place = {.listen = serve->options->listen,
					    .n_listen = serve->options->n_listen};

	serve->early_s += EARLY_LOOK_S;
	if (serve->early_s < EARLY_S && agent_has_predecessor(&place))
		loop_timer_after(serve->retry, EARLY_LOOK_S * CLOCK_S);
	else
		end_early(serve);
}

static void on_retry(void *arg)
{
	struct serve *serve = arg;

	if (serve->early)
		look_early(serve);
	else
		listen_again(serve);
}

static void start_listening(struct serve *serve)
{
	if (!serve->early) {
		listen_again(serve);
		return;
	}
	log_info("another agent answers pods; this one takes over when podcred fetch has said how "
		 "tokens are "
		 "verified, when the other one has gone, or in %d s",
		 EARLY_S);
	loop_timer_after(serve->retry, EARLY_LOOK_S * CLOCK_S);
}

static void drain(const struct serve *serve)
{
	unsigned left = agent_server_drain(serve->server);

	if (left && clock_mono_ms() < serve->drain_ms)
		return;
	if (left)
		log_warn("%u connection%s without an answer end%s: %d s are over", left,
			 plural(left), left == 1 ? "s" : "", DRAIN_MS / 1000);
	loop_stop(serve->loop, 0);
}

/* Once, when there are more credentials than may be locked. */
static void say_swappable(struct serve *serve)
{
	if (serve->swappable || !secret_pool_is_swappable())
		return;
	serve->swappable = true;
	log_warn("not all credentials are in memory that is never swapped (RLIMIT_MEMLOCK); raise "
		 "LimitMEMLOCK of the service, or have no swap");
}

static void take_turn(void *arg)
{
	struct serve *serve = arg;
	int next_ms = agent_server_turn(serve->server);

	say_swappable(serve);
	if (serve->drain_ms) {
		drain(serve);
		next_ms = next_ms < DRAIN_POLL_MS ? next_ms : DRAIN_POLL_MS;
	}
	loop_timer_after(serve->turn, (uint64_t)next_ms * CLOCK_MS);
}

static void on_agent(void *arg, unsigned ready)
{
	(void)ready;
	take_turn(arg);
}

static void reread_keys(const struct serve *serve)
{
	const struct serve_options *o = serve->options;
	struct pc_err err = {};

	if (o->jwks && daemon_token_keys_read(serve->server, o->jwks, o->credentials, &err) < 0)
		log_warn("%s; the keys read before stay in force", err.msg);
}

static void on_reload(void *arg, int sig)
{
	const struct serve *serve = arg;
	struct pc_err err = {};

	(void)sig;
	reread_keys(serve);
	if (serve->channel >= 0)
		log_warn("only podcred run may open the associations; send SIGHUP to it");
	else
		say_reload(serve->credentials, cred_store_reload(serve->credentials, NULL, &err),
			   &err);
}

static void on_stop(void *arg, int sig)
{
	struct serve *serve = arg;

	(void)sig;
	/* Another agent has the address by now, so nobody new comes. Those who came before may not have been read
	 * yet, or not have had the time to ask. */
	if (serve->options->handover && !serve->drain_ms) {
		serve->drain_ms = clock_mono_ms() + DRAIN_MS;
		take_turn(serve);
		return;
	}
	loop_stop(serve->loop, 0);
}

static void take_associations(const struct serve *serve, int fd)
{
	struct pc_err err = {};

	say_reload(serve->credentials, cred_store_reread(serve->credentials, fd, &err), &err);
	close(fd);
}

static void on_channel(void *arg, unsigned ready)
{
	struct serve *serve = arg;
	enum supervised_what what;
	int fd = daemon_supervised_receive(serve->channel, &what);

	(void)ready;
	if (fd >= 0 && what == SUPERVISED_PEER) {
		daemon_fetch_link_adopt(&serve->fetch, fd);
	} else if (fd >= 0) {
		take_associations(serve, fd);
	} else if (fd == -EMFILE) {
		log_warn("cannot receive the associations: %s; the associations read before stay "
			 "in force: raise LimitNOFILE of the service, then send SIGHUP again",
			 strerror(-fd));
	} else if (fd != -EAGAIN) {
		log_info(SUPERVISED_GONE);
		loop_stop(serve->loop, 0);
	}
}

/* All of it before the process is confined: then no signalfd is made any more. */
static int open_loop(struct serve *serve)
{
	int r = loop_new(&serve->loop);

	if (r == 0)
		r = daemon_signals(serve->loop, on_stop, on_reload, serve);
	if (r == 0)
		r = loop_timer_new(serve->loop, on_retry, serve, &serve->retry);
	if (r == 0)
		r = loop_timer_new(serve->loop, take_turn, serve, &serve->turn);
	return r;
}

/* What the limits of the process leave the agent; said, as nothing else shows it. */
static unsigned open_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > UINT_MAX)
		return UINT_MAX;
	return (unsigned)files.rlim_cur;
}

static void say_limits(const struct agent_server *server, unsigned files)
{
	if (files < AGENT_FILES)
		log_warn(
			"no more than %u files may be open (RLIMIT_NOFILE), and %u are needed: the "
			"agent takes %u connections of pods at a time; raise LimitNOFILE of the "
			"service, or the hard limit (ulimit -Hn)",
			files, AGENT_FILES, agent_server_connections(server));
}

/* ---- who we are ---- */

static uint64_t needed_capabilities(const struct serve_options *options)
{
	for (size_t i = 0; i < options->n_listen; i++)
		if (options->listen[i].port < 1024)
			return CAPS_BIT(CAP_NET_BIND_SERVICE);
	if (options->metrics.port && options->metrics.port < 1024)
		return CAPS_BIT(CAP_NET_BIND_SERVICE);
	return 0;
}

/* Directories of a file that is read again: of its name, and of what that leads to, as files of Kubernetes are links. */
static void add_directories(const char *file, char *ret[2])
{
	_cleanup_free_ char *real = file ? realpath(file, NULL) : NULL, *name = NULL;

	ret[0] = ret[1] = NULL;
	name = file ? strdup(file) : NULL;
	if (name)
		ret[0] = strdup(dirname(name));
	if (real && ret[0])
		ret[1] = strdup(dirname(real));
}

/* What the agent reads from now on, and nothing else that its user may read. */
static int confine_to_files(const struct serve_options *o)
{
	char *dirs[3][2];
	const char *allowed[2 + 3 * 2 + 1] = {"/sys/devices/system/cpu", /* malloc counts them */
					      "/proc/sys/kernel/random"};
	size_t n = 2;
	int r;

	add_directories(daemon_is_supervised() ? NULL : o->associations, dirs[0]);
	add_directories(o->node_metrics, dirs[1]);
	add_directories(o->jwks, dirs[2]);
	for (size_t i = 0; i < ARRAY_SIZE(dirs) * 2; i++)
		if (dirs[i / 2][i % 2])
			allowed[n++] = dirs[i / 2][i % 2];
	r = daemon_landlock_read_below(allowed);
	for (size_t i = 0; i < ARRAY_SIZE(dirs) * 2; i++)
		free(dirs[i / 2][i % 2]);
	return r;
}

/* Another process with our uid can stop us, and read what we may read. */
static int confine(const struct serve_options *options, struct pc_err *err)
{
	struct privileges_user user;
	int r = options->user ? daemon_privileges_find_user(options->user, &user, err) : 0;

	if (r == 0)
		r = daemon_privileges_drop(options->user ? &user : NULL,
					   needed_capabilities(options), err);
	if (r < 0)
		return r;
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* again: a change of user resets it */
	agent_prepare();
	r = SANDBOX_REFUSES ? confine_to_files(options) : 0;
	if (r < 0)
		log_debug("no Landlock: %s", strerror(-r));
	r = daemon_sandbox_enter(SANDBOX_REFUSES);
	if (r < 0)
		log_warn("no seccomp filter: %s; the agent runs without one", strerror(-r));
	return 0;
}

static int take_config(struct serve *serve, int fd, struct pc_err *err)
{
	int r;

	serve->received = malloc(sizeof(*serve->received));
	if (!serve->received)
		return pc_err_set(err, -ENOMEM, "out of memory");
	r = config_read(fd, "the configuration", serve->received, err);
	serve->config = &serve->received->credentials;
	return r;
}

/* To podcred run, which has sent the configuration, if it has one, and then the associations through it already,
 * open: *ret_file. */
static int find_channel(struct serve *serve, int *ret_file, struct pc_err *err)
{
	enum supervised_what what = SUPERVISED_CONFIG;
	int r = serve->channel = daemon_supervised_open("podcred-serve", err);

	while (r >= 0 && what == SUPERVISED_CONFIG) {
		_cleanup_close_ int fd = daemon_supervised_receive(serve->channel, &what);

		if (fd < 0)
			return pc_err_set(err, fd, "podcred run is gone");
		if (what == SUPERVISED_CONFIG)
			r = take_config(serve, fd, err);
		else
			*ret_file = TAKE_FD(fd);
	}
	return r;
}

/* While we may still make sockets' files, and give them away. */
static int open_fetch(struct serve *serve, struct pc_err *err)
{
	const struct serve_options *o = serve->options;
	struct privileges_user user = {};
	int r;

	if (!o->fetch_socket)
		return 0;
	if (serve->channel >= 0)
		return daemon_fetch_link_open(&serve->fetch, serve->loop, NULL, (uid_t)-1, err);
	r = daemon_privileges_find_fetch_user(o->fetch_user, &user, err);
	return r < 0 ? r
		     : daemon_fetch_link_open(&serve->fetch, serve->loop, o->fetch_socket, user.uid,
					      err);
}

static void say_doubts(const struct serve *serve, unsigned files)
{
	if (geteuid() == 0)
		log_warn("the agent runs as root, though without capabilities; give it a user of "
			 "its own with --user");
	if (cred_store_exposed(serve->credentials))
		log_warn("%s holds keys, and other users can read it; chmod 0400 it",
			 serve->options->associations);
	say_limits(serve->server, files);
}

/* What pods may read of the rest of IMDS. */
static void list_metadata(struct serve *serve)
{
	for (size_t i = 0; i < serve->config->n_imds; i++)
		serve->metadata[i] = serve->config->imds[i];
}

static int start_agent(struct serve *serve, struct agent_options *agent, int file,
		       struct pc_err *err)
{
	int r = cred_store_open(serve->options->associations, file, &serve->credentials, err);

	agent->credentials = serve->credentials;
	list_metadata(serve);
	agent->metadata = serve->metadata;
	serve->early = agent->late = is_early(serve, agent);
	serve->fetch.ready = on_fetch_ready;
	serve->fetch.ready_arg = serve;
	daemon_fetch_link_use(&serve->fetch, serve->config->tokens.verify != CONFIG_VERIFY_OFF,
			      agent);
	if (r == 0)
		r = agent_server_start(agent, &serve->server, err);
	serve->fetch.server = serve->server;
	if (r == 0 && serve->options->jwks)
		r = daemon_token_keys_read(serve->server, serve->options->jwks,
					   serve->options->credentials, err);
	if (r == 0)
		r = loop_watch(serve->loop, agent_server_fd(serve->server), LOOP_READ, on_agent,
			       serve, &serve->agent);
	return r;
}

/* Tokens that end with this process are better than no agent: a file that cannot be read is no reason to stop. */
static int read_token_key(const char *path, uint8_t ret[AGENT_TOKEN_KEY_SIZE], struct pc_err *err)
{
	int r = daemon_token_key_read(path, ret, err);

	if (r == 0 || r == -EINVAL || !path)
		return r;
	log_warn("%s. Session tokens of IMDS end with this process", err->msg);
	return daemon_token_key_read(NULL, ret, err);
}

/* Confined, from then on. */
static int start(struct serve *serve, struct agent_options *agent, struct pc_err *err)
{
	struct loop_watch *watch;
	int file = 0, r = 0;

	if (daemon_is_supervised()) {
		r = find_channel(serve, &file, err);
		if (r >= 0)
			r = loop_watch(serve->loop, serve->channel, LOOP_READ, on_channel, serve,
				       &watch);
	}
	/* before we become somebody else: the key may be root's */
	if (r == 0)
		r = read_token_key(serve->options->token_key, agent->token_key, err);
	if (r == 0)
		r = open_fetch(serve, err);
	if (r == 0)
		r = confine(serve->options, err);
	if (r == 0)
		r = log_start(); /* its thread has no more rights than we have now */
	if (r == 0)
		r = start_agent(serve, agent, file, err);
	if (file)
		close(file);
	explicit_bzero(agent->token_key, sizeof(agent->token_key));
	return r;
}

static void finish(struct serve *serve)
{
	loop_unwatch(serve->agent);
	agent_server_stop(serve->server); /* its threads post to the loop */
	daemon_fetch_link_close(&serve->fetch);
	loop_free(serve->loop); /* before the descriptor that it watches */
	cred_store_close(serve->credentials);
	free(serve->received);
	cleanup_close(&serve->channel);
}

/* In the spelling of the kernel's map. */
static int own_pod_uid(const char *text, char ret[POD_UID_SIZE], struct pc_err *err)
{
	bool is_static;

	ret[0] = '\0';
	if (!text || pod_uid_canonical(text, strlen(text), '-', ret, &is_static) == 0)
		return 0;
	return pc_err_set(err, -EINVAL,
			  "--pod-uid \"%s\" is not the uid of a pod; it is metadata.uid of the "
			  "agent's own pod",
			  text);
}

int daemon_serve(const struct serve_options *options, struct pc_err *err)
{
	char pod_uid[POD_UID_SIZE];
	struct agent_options agent = {
		.listen = options->listen,
		.n_listen = options->n_listen,
		.metrics = options->metrics.port ? &options->metrics : NULL,
		.node_metrics = options->node_metrics,
		.peer = podcred_peer,
		.require_authorization = options->require_authorization,
		.verify_tokens = options->jwks,
		.handover = options->handover,
		.pod_uid = pod_uid,
	};
	_cleanup_(finish) struct serve serve = {
		.options = options, .config = options->credentials, .channel = -EBADF};
	int r = own_pod_uid(options->pod_uid, pod_uid, err);

	if (r == 0)
		r = open_loop(&serve);
	if (r < 0)
		return r;
	harden();
	agent.max_files = open_files();
	r = start(&serve, &agent, err);
	if (r < 0)
		return r;
	say_doubts(&serve, agent.max_files);
	start_listening(&serve);
	take_turn(&serve);
	return loop_run(serve.loop);
}
