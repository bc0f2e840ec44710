// SPDX-License-Identifier: Apache-2.0
#include "doctor/ready.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "http/client.h"
#include "identity/pod.h"
#include "kernel/maps.h"
#include "kernel/status.h"

#define ANSWER_NS  (3 * CLOCK_S)
#define ANSWER_MAX 4096

/* ---- one question ---- */

struct question {
	struct loop *loop;
	unsigned status;
	int error; /* there was no answer */
	char why[HTTP_WHY_SIZE];
	char body[ANSWER_MAX];
	size_t len;
};

static int on_data(void *arg, const void *data, size_t len)
{
	struct question *q = arg;

	if (len > sizeof(q->body) - q->len)
		return -EMSGSIZE;
	memcpy(q->body + q->len, data, len);
	q->len += len;
	return 0;
}

static void on_done(void *arg, const struct http_result *result)
{
	struct question *q = arg;

	q->status = result->status;
	q->error = result->error;
	snprintf(q->why, sizeof(q->why), "%s", result->why);
	loop_stop(q->loop, 0);
}

static int ask_on(struct http_client *client, const char *url, struct question *q,
		  struct pc_err *err)
{
	const struct http_call_options options = {.url = url,
						  .total_ns = ANSWER_NS,
						  .max_body = ANSWER_MAX,
						  .on_data = on_data,
						  .on_done = on_done,
						  .arg = q};
	struct http_call *call = NULL;
	int r = http_call_start(client, &options, &call, err);

	return r < 0 ? r : loop_run(q->loop);
}

static int ask(const struct net_addr *agent, struct question *q, struct pc_err *err)
{
	_cleanup_(loop_freep) struct loop *loop = NULL;
	_cleanup_(http_client_freep) struct http_client *client = NULL;
	char text[NET_ADDR_TEXT], url[NET_ADDR_TEXT + 32];
	int r = loop_new(&loop);

	*q = (struct question){.loop = loop};
	if (r == 0)
		r = http_client_new(loop, &client);
	if (r < 0)
		return pc_err_set(err, r, "cannot ask: %s", strerror(-r));
	net_addr_format(agent->ip, agent->port, text, sizeof(text));
	snprintf(url, sizeof(url), "http://%s/readyz", text);
	r = ask_on(client, url, q, err);
	if (r < 0 || !q->error)
		return r;
	return pc_err_set(err, q->error, "no answer of the agent at %s: %s", text, q->why);
}

/* ---- the answer ---- */

static const char *text_of(const json_t *answer, const char *key)
{
	return json_string_value(json_object_get(answer, key)) ?: "";
}

static int judge_pod(const json_t *answer, const char *pod_uid, struct pc_err *err)
{
	const char *agent = text_of(answer, "agentPodUid"),
		   *caller = text_of(answer, "callerPodUid");

	if (strcmp(agent, pod_uid) != 0)
		return pc_err_set(
			err, -EAGAIN,
			"the agent of another pod answers (uid %s): that of this one does "
			"not listen yet, or was started without --pod-uid",
			*agent ? agent : "not said");
	if (!*caller)
		return pc_err_set(
			err, -EAGAIN,
			"the agent does not know yet who this pod is: the resolver has not "
			"named it; see the log of podcred resolve");
	if (strcmp(caller, pod_uid) != 0)
		return pc_err_set(err, -EBADE, "the agent takes this pod for that with uid %s",
				  caller);
	return 0;
}

static void cleanup_json(json_t **value)
{
	json_decref(*value);
}

static int judge(const struct question *q, const char *pod_uid, struct pc_err *err)
{
	_cleanup_(cleanup_json) json_t *answer = json_loadb(q->body, q->len, 0, NULL);

	if (q->status != 200)
		return pc_err_set(err, -EAGAIN, "the agent is not ready: %u %s", q->status,
				  text_of(answer, "message"));
	if (!json_is_true(json_object_get(answer, "stamped")))
		return pc_err_set(
			err, -EAGAIN,
			"the connection came to the agent without a stamp: run this in the "
			"agent's pod, and podcred load from there first");
	return pod_uid ? judge_pod(answer, pod_uid, err) : 0;
}

static int ready_at(const struct net_addr *agent, const char *pod_uid, bool *ret_answered,
		    struct pc_err *err)
{
	_cleanup_free_ struct question *q = calloc(1, sizeof(*q));
	int r = q ? ask(agent, q, err) : -ENOMEM;

	*ret_answered = r == 0;
	return r < 0 ? r : judge(q, pod_uid, err);
}

int doctor_ready_agent(const struct net_addr *agents, size_t n, const char *pod_uid,
		       struct pc_err *err)
{
	char uid[POD_UID_SIZE];
	bool answered = false, is_static;
	int r = -ENOENT;

	if (pod_uid && pod_uid_canonical(pod_uid, strlen(pod_uid), '-', uid, &is_static) < 0)
		return pc_err_set(err, -EINVAL, "--pod-uid \"%s\" is not the uid of a pod",
				  pod_uid);
	for (size_t i = 0; i < n && !answered; i++)
		r = ready_at(&agents[i], pod_uid ? uid : NULL, &answered, err);
	return r;
}

/* ---- the resolver ---- */

int doctor_ready_resolver(const char *pin_dir, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, err);
	_cleanup_free_ struct kern_status *status = calloc(1, sizeof(*status));
	int r = fd < 0 ? fd : status ? 0 : -ENOMEM;

	for (int i = 0; r == 0 && i < PODCRED_RUNTIME_SLOTS; i++)
		r = kern_runtime_read(fd, (enum podcred_runtime)i, &status->runtime[i]);
	if (r < 0)
		return r;
	if (kern_resolver_is_running(status))
		return 0;
	return pc_err_set(
		err, -ESRCH,
		"no resolver follows the pods, or it hangs; see the log of podcred resolve");
}
