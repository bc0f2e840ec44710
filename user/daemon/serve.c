// SPDX-License-Identifier: Apache-2.0
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "agent.h"
#include "cleanup.h"
#include "file.h"
#include "log.h"
#include "podcred/podcred.h"
#include "signals.h"

/* Memory here holds credentials: no core dump, no ptrace by the same user, no new privileges, and
 * nothing readable left in what a library frees without wiping (libyaml's buffers). */
static void harden(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit files;

	/* a descriptor for each connection that the agent admits */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	mallopt(M_PERTURB, 0x5a);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* A key that outlives the process keeps IMDS session tokens valid over a restart: most SDKs do
 * not recover from a refused token within the call. */
static int token_key(const char *path, uint8_t key[AGENT_TOKEN_KEY_SIZE], struct pc_err *err)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	int r;

	if (!path) {
		r = getrandom(key, AGENT_TOKEN_KEY_SIZE, 0) == AGENT_TOKEN_KEY_SIZE ? 0 : -EIO;
		return r < 0 ? pc_err_set(err, r, "no randomness from the kernel") : 0;
	}
	r = file_read(path, AGENT_TOKEN_KEY_SIZE, &data, &len);
	if (r == 0 && len == AGENT_TOKEN_KEY_SIZE) {
		memcpy(key, data, len);
		explicit_bzero(data, len);
		return 0;
	}
	if (r == 0 || r == -EFBIG)
		return pc_err_set(err, -EINVAL,
				  "%s is not a key of %d bytes; remove it, a new one is made", path,
				  AGENT_TOKEN_KEY_SIZE);
	if (r != -ENOENT)
		return pc_err_set(err, r, "cannot read %s: %s", path, strerror(-r));
	r = token_key(NULL, key, err);
	if (r == 0)
		r = file_write_atomic(path, key, AGENT_TOKEN_KEY_SIZE, 0600);
	return r < 0 ? pc_err_set(err, r,
				  "cannot write %s: %s; give a writable directory, or no "
				  "--token-key",
				  path, strerror(-r))
		     : 0;
}

static void reload(struct agent_server *server)
{
	struct pc_err err = {};

	if (agent_server_reload(server, NULL, &err) < 0)
		log_warn("%s; the associations read before stay in force", err.msg);
	else
		log_info("%zu associations read again", agent_server_associations(server));
}

static void loop(struct agent_server *server, int signal_fd)
{
	struct pollfd fd = {.fd = signal_fd, .events = POLLIN};

	for (;;) {
		int sig;

		if (poll(&fd, 1, -1) < 0 && errno != EINTR)
			return;
		while ((sig = signals_next(signal_fd))) {
			if (sig == SIGHUP)
				reload(server);
			else if (sig != SIGCHLD)
				return;
		}
	}
}

int serve_run(const struct serve_options *options, struct pc_err *err)
{
	struct agent_options agent = {
		.listen = options->listen,
		.n_listen = options->n_listen,
		.associations_path = options->associations,
		.peer = podcred_peer,
		.require_authorization = options->require_authorization,
	};
	_cleanup_close_ int signal_fd = signals_open();
	struct agent_server *server = NULL;
	char text[NET_ADDR_TEXT];
	int r;

	if (signal_fd < 0)
		return signal_fd;
	harden();
	r = log_start();
	if (r == 0)
		r = token_key(options->token_key, agent.token_key, err);
	if (r == 0)
		r = agent_server_start(&agent, &server, err);
	explicit_bzero(agent.token_key, sizeof(agent.token_key));
	if (r < 0)
		return r;
	if (agent_server_file_exposed(server))
		log_warn("%s holds keys and every user of this machine can read it; chmod 0400 it",
			 options->associations);
	for (size_t i = 0; i < options->n_listen; i++)
		log_info("agent ready on %s: %zu associations",
			 net_addr_format(options->listen[i].ip, options->listen[i].port, text,
					 sizeof(text)),
			 agent_server_associations(server));
	loop(server, signal_fd);
	agent_server_stop(server);
	return 0;
}

int serve_check_associations(const char *path, size_t *ret_n, struct pc_err *err)
{
	return agent_associations_check(path, ret_n, NULL, err);
}
