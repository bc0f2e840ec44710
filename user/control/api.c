// SPDX-License-Identifier: Apache-2.0
#include "control/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/sealed_keys.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "control/discovery.h"
#include "control/eks_call.h"
#include "control/signed.h"

/* ---- the end of a call ---- */

static void free_call(struct eks_call *call)
{
	if (call->waits) /* only at the very end: see end_calls() */
		TAILQ_REMOVE(&call->api->waiting, call, missing);
	LIST_REMOVE(call, all);
	kube_access_review_cancel(call->review);
	kube_token_review_cancel(call->token);
	kube_object_cancel(call->write);
	kube_version_cancel(call->version);
	json_decref(call->answered);
	eks_request_done(&call->request);
	free(call);
}

static const char *known(const char *text)
{
	return text[0] ? text : NULL;
}

static const char *operation(const struct eks_call *call)
{
	if (call->sts_action)
		return call->sts_action;
	return call->understood ? eks_op_name(call->request.op) : NULL;
}

static void audit(const struct eks_call *call, const struct http_response *resp, const char *error,
		  const char *message)
{
	const struct control_audit audit = {
		.operation = operation(call),
		.door = call->door,
		.user = call->caller.user,
		.client = http_ticket_ask(call->ticket)->client,
		.name_space = known(call->name_space),
		.service_account = known(call->name),
		.association_id = known(call->id),
		.role_arn = eks_request_text(&call->request, "roleArn"),
		.status = resp->status,
		.error = error,
		.message = message,
	};

	if (call->api->options.audited)
		call->api->options.audited(call->api->options.arg, &audit);
}

void eks_call_end(struct eks_call *call, struct http_response *resp, const char *error,
		  const char *message)
{
	audit(call, resp, error, message);
	http_ticket_answer(call->ticket, resp);
	free_call(call);
}

void eks_call_answer(struct eks_call *call, json_t *body)
{
	struct http_response resp = {};

	eks_answer(&resp, body);
	call->api->answered[call->request.op]++;
	eks_call_end(call, &resp, NULL, NULL);
}

static void refuse(struct eks_call *call, const struct eks_error *error)
{
	struct http_response resp = {};

	eks_answer_error(&resp, error, call->api->cluster_name);
	if (call->understood)
		call->api->refused[call->request.op]++;
	else
		call->api->unreadable++;
	eks_call_end(call, &resp, error->name, error->message);
}

void eks_call_refuse(struct eks_call *call, unsigned status, const char *name, const char *fmt, ...)
{
	struct eks_error error = {.status = status, .name = name};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error.message, sizeof(error.message), fmt, ap);
	va_end(ap);
	refuse(call, &error);
}

static bool is_about_tags(const struct eks_call *call)
{
	enum eks_op op = call->request.op;

	return op == EKS_TAG || op == EKS_UNTAG || op == EKS_LIST_TAGS;
}

void eks_call_invalid(struct eks_call *call, const char *message)
{
	eks_call_refuse(call, 400,
			is_about_tags(call) ? "BadRequestException" : "InvalidParameterException",
			"%s", message);
}

void eks_call_missing(struct eks_call *call)
{
	eks_call_refuse(call, 404,
			is_about_tags(call) ? "NotFoundException" : "ResourceNotFoundException",
			"there is no association with the id %s", call->request.id);
}

void eks_call_failed(struct eks_call *call, const struct kube_object_result *result)
{
	if (result->outcome == KUBE_INVALID && result->n_causes)
		eks_call_refuse(call, 400,
				is_about_tags(call) ? "BadRequestException"
						    : "InvalidParameterException",
				"%s: %s", result->causes[0].field, result->causes[0].message);
	else if (result->outcome == KUBE_INVALID)
		eks_call_invalid(call, result->message[0] ? result->message : result->why);
	else
		eks_call_refuse(call, 500, "ServerException", "%s", result->why);
}

/* ---- may they? ---- */

static void on_review(void *arg, const struct kube_access_result *result)
{
	struct eks_call *call = arg;

	call->review = NULL;
	if (result->error)
		eks_call_refuse(call, 500, "ServerException", "it is not known who may do this: %s",
				result->why);
	else if (!result->allowed) /* not which object it is: who may not read it, may not know */
		eks_call_refuse(
			call, 403, "AccessDeniedException",
			"User: %s is not authorized to perform: eks:%s; it takes the verb %s on "
			"podidentityassociations.podcred.io, in the namespace",
			call->caller.user, eks_op_name(call->request.op), call->verb);
	else
		call->next(call);
}

void eks_call_authorize(struct eks_call *call, const char *verb,
			void (*next)(struct eks_call *call))
{
	const struct kube_access_question question = {
		.user = call->caller.user,
		.uid = call->caller.uid,
		.groups = call->caller.groups,
		.extra = call->caller.extra,
		.n_extra = call->caller.n_extra,
		.verb = verb,
		.group = "podcred.io",
		.resource = "podidentityassociations",
		.name_space = call->name_space[0] ? call->name_space : NULL,
		.name = call->name[0] ? call->name : NULL,
	};
	struct pc_err err = {};

	call->next = next;
	call->verb = verb;
	if (kube_access_review_start(call->api->options.kube, &question, on_review, call,
				     &call->review, &err) < 0)
		eks_call_refuse(call, 500, "ServerException", "%s", err.msg);
}

/* ---- what is not known (yet) ---- */

static void read_list(struct control_api *api);

static void on_list(void *arg, const struct kube_object_result *result)
{
	struct control_api *api = arg;
	const json_t *object;
	struct eks_call *call;
	size_t i;

	api->list = NULL;
	json_array_foreach (json_object_get(result->object, "items"), i, object)
		eks_store_put(api->store, object);
	/* those of this list first go back to where they were, as each may end, or wait again */
	while ((call = TAILQ_FIRST(&api->listing))) {
		TAILQ_REMOVE(&api->listing, call, missing);
		call->waits = false;
		call->listed = true;
		if (result->outcome == KUBE_DONE)
			call->next(call);
		else
			eks_call_failed(call, result);
	}
	read_list(api);
}

/* For all that wait, one at a time: however many ask for what does not exist, there is one request in flight. */
static void read_list(struct control_api *api)
{
	const struct kube_object_request request = {.verb = KUBE_LIST,
						    .kind = &kube_kind_association,
						    .shape = &eks_list_shape,
						    .max_body = 64 << 20,
						    .done = on_list,
						    .arg = api};
	struct eks_call *call;
	struct pc_err err = {};

	if (api->list || TAILQ_EMPTY(&api->waiting))
		return;
	if (kube_object_start(api->options.kube, &request, &api->list, &err) == 0) {
		TAILQ_CONCAT(&api->listing, &api->waiting, missing);
		return;
	}
	while ((call = TAILQ_FIRST(&api->waiting))) {
		TAILQ_REMOVE(&api->waiting, call, missing);
		call->waits = false;
		eks_call_refuse(call, 500, "ServerException", "%s", err.msg);
	}
}

void eks_call_wait(struct eks_call *call, void (*again)(struct eks_call *call))
{
	call->next = again;
	call->waits = true;
	TAILQ_INSERT_TAIL(&call->api->waiting, call, missing);
	read_list(call->api);
}

const struct eks_object *eks_call_find(struct eks_call *call, void (*again)(struct eks_call *call))
{
	const struct eks_object *o = eks_store_find_id(call->api->store, call->request.id);

	if (o) {
		strcpy(call->name_space, o->name_space);
		strcpy(call->name, o->name);
		strcpy(call->id, o->id);
		strcpy(call->uid, o->uid);
	} else if (call->listed) {
		eks_call_missing(call);
	} else {
		eks_call_wait(call, again);
	}
	return o;
}

/* ---- the beginning of a call ---- */

static void (*const steps[EKS_OPS])(struct eks_call *call) = {
	[EKS_CREATE] = eks_create,
	[EKS_LIST] = eks_list,
	[EKS_DESCRIBE] = eks_describe,
	[EKS_UPDATE] = eks_update,
	[EKS_DELETE] = eks_delete,
	[EKS_TAG] = eks_update,
	[EKS_UNTAG] = eks_update,
	[EKS_LIST_TAGS] = eks_describe,
	[EKS_DESCRIBE_CLUSTER] = eks_describe_cluster,
	[EKS_DESCRIBE_VERSIONS] = eks_describe_versions,
	[EKS_DESCRIBE_ADDON] = eks_describe_addon,
};

static void answer_error(struct control_api *api, struct http_ticket *ticket, unsigned status,
			 const char *name, const char *message)
{
	struct http_response resp = {};
	struct eks_error error;

	api->unreadable++;
	eks_error_set(&error, status, name, "%s", message);
	eks_answer_error(&resp, &error, api->cluster_name);
	http_ticket_answer(ticket, &resp);
}

/* The ARN is looked at as a whole: another account's or region's association is another one. */
static bool is_this_cluster(const struct eks_call *call)
{
	const struct eks_request *r = &call->request;
	char arn[EKS_ARN_SIZE];

	if (r->op == EKS_DESCRIBE_VERSIONS)
		return true;
	if (strcmp(r->cluster, call->api->cluster_name) != 0)
		return false;
	if (!is_about_tags(call))
		return true;
	eks_association_arn(&call->api->cluster, r->id, arn);
	return !strcmp(r->arn, arn);
}

static void run(struct eks_call *call)
{
	if (is_this_cluster(call))
		steps[call->request.op](call);
	else
		eks_call_refuse(call, 404,
				is_about_tags(call) ? "NotFoundException"
						    : "ResourceNotFoundException",
				"No cluster found for name: %s; this is %s", call->request.cluster,
				call->api->cluster_arn);
}

static void parse(struct eks_call *call)
{
	const struct http_ask *ask = http_ticket_ask(call->ticket);
	struct eks_error error = {};
	int r = eks_request_parse(ask->method, ask->target, ask->body, ask->body_len,
				  &call->request, &error);

	if (r == -ENOMEM)
		eks_error_set(&error, 500, "ServerException", "out of memory");
	call->understood = r == 0;
	if (r < 0)
		refuse(call, &error);
	else
		run(call);
}

static void open_signed(struct eks_call *call)
{
	struct eks_error error = {};

	call->door = "sigv4";
	if (eks_signed_caller(call, time(NULL), &error) < 0)
		refuse(call, &error);
	else
		parse(call);
}

static void open_door(struct eks_call *call)
{
	const struct http_ask *ask = http_ticket_ask(call->ticket);
	int r = control_front_proxy_caller(call->api->front_proxy, ask, &call->caller);

	call->door = r == -ENOENT ? "none" : "aggregated";
	if (r == 0) {
		parse(call);
	} else if (r == -EINVAL) {
		eks_call_refuse(call, 403, "AccessDeniedException",
				"the API server's proxy does not say who asks, or says it twice");
	} else if (eks_signed_is_sts(ask)) {
		call->door = "sts";
		eks_signed_sts(call);
	} else if (eks_signed_is(ask)) {
		open_signed(call);
	} else {
		eks_call_refuse(call, 403, "MissingAuthenticationTokenException",
				"nobody has said who asks; come by the API server (kubectl proxy, "
				"--no-sign-request), or sign");
	}
}

void control_api_handle(struct control_api *api, struct http_ticket *ticket)
{
	const struct http_ask *ask = http_ticket_ask(ticket);
	struct http_response resp = {};
	struct eks_call *call;

	if (ask->refuse) {
		answer_error(api, ticket, ask->refuse, "InvalidRequestException",
			     ask->refuse == 413 ? "the body is too large"
						: "the request can be read in two ways");
		return;
	}
	if (control_discovery_answer(ask, &resp)) {
		http_ticket_answer(ticket, &resp);
		return;
	}
	http_response_done(&resp);
	call = calloc(1, sizeof(*call));
	if (!call) {
		answer_error(api, ticket, 500, "ServerException", "out of memory");
		return;
	}
	call->api = api;
	call->ticket = ticket;
	LIST_INSERT_HEAD(&api->calls, call, all);
	open_door(call);
}

/* ---- the API ---- */

static void look(const struct control_api *api)
{
	if (api->status)
		control_status_look(api->status);
	control_stock_look(api->stock);
}

static void on_policies_changed(void *arg)
{
	look(arg);
}

static void on_store_changed(void *arg, const struct eks_object *object)
{
	(void)object;
	look(arg);
}

static void on_store_gone(void *arg)
{
	look(arg);
}

static void on_store_listed(void *arg)
{
	look(arg);
}

static void say_once(const struct control_api *api, char *last, size_t size, const char *why)
{
	if (!strcmp(last, why))
		return;
	snprintf(last, size, "%s", why);
	if (why[0])
		api->options.said(api->options.arg, true, why);
}

static void on_store_state(void *arg, const struct kube_watch_state *state)
{
	struct control_api *api = arg;

	say_once(api, api->store_why, sizeof(api->store_why), state->why);
}

static void on_policies_state(void *arg, const struct kube_watch_state *state)
{
	struct control_api *api = arg;

	say_once(api, api->policies_why, sizeof(api->policies_why), state->why);
}

static int make_stock(struct control_api *api)
{
	const struct control_api_options *o = &api->options;
	const struct control_stock_options options = {.loop = o->loop,
						      .kube = o->kube,
						      .store = api->store,
						      .config_map = api->stock_config_map,
						      .said = o->said,
						      .arg = o->arg};

	return api->stock_config_map ? control_stock_new(&options, &api->stock) : 0;
}

static int make_parts(struct control_api *api)
{
	const struct control_api_options *o = &api->options;
	const struct eks_store_events store = {.changed = on_store_changed,
					       .gone = on_store_gone,
					       .listed = on_store_listed,
					       .state = on_store_state};
	const struct kube_role_policies_events policies = {.changed = on_policies_changed,
							   .state = on_policies_state};
	const struct control_front_proxy_events proxy = {.said = o->said, .arg = o->arg};
	int r = eks_store_new(o->loop, o->kube, &store, api, &api->store);

	r = r ?: kube_role_policies_new(o->loop, o->kube, NULL, &policies, api, &api->policies);
	r = r ?: control_front_proxy_new(o->loop, o->kube, o->tls, &proxy, &api->front_proxy);
	r = r
		    ?: control_status_new(o->loop, o->kube, api->store, api->policies,
					  &api->cluster, o->broker, &api->status);
	return r ?: make_stock(api);
}

static int make(struct control_api *api, const struct control_api_options *options,
		struct pc_err *err)
{
	api->cluster_name = strdup(options->cluster_name);
	api->cluster_arn = strdup(options->cluster_arn);
	api->stock_config_map =
		options->stock_config_map ? strdup(options->stock_config_map) : NULL;
	if (!api->cluster_name || !api->cluster_arn ||
	    (options->stock_config_map && !api->stock_config_map))
		return pc_err_set(err, -ENOMEM, "no memory");
	if (eks_cluster_parse(api->cluster_name, api->cluster_arn, &api->cluster) < 0)
		return pc_err_set(err, -EINVAL,
				  "'%s' is not the ARN of the cluster %s; write "
				  "arn:aws:eks:REGION:ACCOUNT:cluster/%s",
				  api->cluster_arn, api->cluster_name, api->cluster_name);
	return make_parts(api) < 0 ? pc_err_set(err, -ENOMEM, "no memory") : 0;
}

int control_api_new(const struct control_api_options *options, struct control_api **ret,
		    struct pc_err *err)
{
	struct control_api *api = calloc(1, sizeof(*api));
	int r;

	if (!api)
		return pc_err_set(err, -ENOMEM, "no memory");
	api->options = *options;
	LIST_INIT(&api->calls);
	TAILQ_INIT(&api->waiting);
	TAILQ_INIT(&api->listing);
	r = make(api, options, err);
	if (r < 0)
		control_api_free(api);
	else
		*ret = api;
	return r;
}

/* The desk is gone: nobody hears an answer. */
static void end_calls(struct control_api *api)
{
	struct eks_call *call;

	api->list = kube_object_cancel(api->list);
	TAILQ_CONCAT(&api->waiting, &api->listing, missing);
	while ((call = LIST_FIRST(&api->calls)))
		eks_call_refuse(call, 500, "ServerException", "about to end");
}

struct control_api *control_api_free(struct control_api *api)
{
	if (!api)
		return NULL;
	end_calls(api);
	control_stock_free(api->stock);
	control_status_free(api->status);
	control_front_proxy_free(api->front_proxy);
	kube_role_policies_free(api->policies);
	eks_store_free(api->store);
	aws_sealing_free(api->sealing);
	free(api->cluster_name);
	free(api->cluster_arn);
	free(api->stock_config_map);
	free(api);
	return NULL;
}

void control_api_seal(struct control_api *api, struct aws_sealing *sealing)
{
	aws_sealing_free(api->sealing);
	api->sealing = sealing;
}

bool control_api_is_ready(struct control_api *api, const char **ret_why)
{
	if (!eks_store_state(api->store)->listed)
		*ret_why = "the associations have not been read yet\n";
	else if (!kube_role_policies_state(api->policies)->listed)
		*ret_why = "the role policies have not been read yet\n";
	else if (!control_front_proxy_is_ready(api->front_proxy))
		*ret_why = "whose requests are believed has not been read yet\n";
	else
		return true;
	return false;
}

/* ---- metrics ---- */

static void add_requests(const struct control_api *api, struct text *ret)
{
	text_add(ret, "# HELP podcred_control_requests_total Requests to the API of associations.\n"
		      "# TYPE podcred_control_requests_total counter\n");
	for (size_t i = 0; i < EKS_OPS; i++) {
		text_addf(ret,
			  "podcred_control_requests_total{operation=\"%s\",result=\"ok\"} %llu\n",
			  eks_op_name((enum eks_op)i), (unsigned long long)api->answered[i]);
		text_addf(ret,
			  "podcred_control_requests_total{operation=\"%s\",result=\"refused\"} "
			  "%llu\n",
			  eks_op_name((enum eks_op)i), (unsigned long long)api->refused[i]);
	}
}

static void add_unreadable(const struct control_api *api, struct text *ret)
{
	text_add(ret,
		 "# HELP podcred_control_unreadable_total Requests that nobody known has made, or "
		 "that say nothing.\n# TYPE podcred_control_unreadable_total counter\n");
	text_addf(ret, "podcred_control_unreadable_total %llu\n",
		  (unsigned long long)api->unreadable);
}

static void add_watch(const char *what, const struct kube_watch_state *state, struct text *ret)
{
	uint64_t age = state->heard_ns ? (clock_boot_ns() - state->heard_ns) / CLOCK_S : 0;

	text_addf(ret, "podcred_control_objects{kind=\"%s\"} %zu\n", what, state->objects);
	text_addf(ret, "podcred_control_objects_unusable{kind=\"%s\"} %zu\n", what,
		  state->unusable);
	text_addf(ret, "podcred_control_in_touch{kind=\"%s\"} %d\n", what, state->in_touch);
	text_addf(ret, "podcred_control_age_seconds{kind=\"%s\"} %llu\n", what,
		  (unsigned long long)age);
}

static void add_status(const struct control_api *api, struct text *ret)
{
	const struct control_status_counts counts = control_status_counts(api->status);

	text_add(ret, "# HELP podcred_control_status_total Writes of the status of associations.\n"
		      "# TYPE podcred_control_status_total counter\n");
	text_addf(ret, "podcred_control_status_total{result=\"written\"} %llu\n",
		  (unsigned long long)counts.written);
	text_addf(ret, "podcred_control_status_total{result=\"conflict\"} %llu\n",
		  (unsigned long long)counts.conflicts);
	text_addf(ret, "podcred_control_status_total{result=\"failed\"} %llu\n",
		  (unsigned long long)counts.failed);
}

static void add_stock(const struct control_api *api, struct text *ret)
{
	struct control_stock_state state;

	if (!api->stock)
		return;
	state = control_stock_state(api->stock);
	text_add(ret, "# HELP podcred_control_stock_config_current Whether EKS's webhook can read "
		      "there who has an association.\n"
		      "# TYPE podcred_control_stock_config_current gauge\n");
	text_addf(ret, "podcred_control_stock_config_current %d\n", state.current);
	text_add(ret, "# HELP podcred_control_stock_config_total Writes of that ConfigMap.\n"
		      "# TYPE podcred_control_stock_config_total counter\n");
	text_addf(ret, "podcred_control_stock_config_total{result=\"written\"} %llu\n",
		  (unsigned long long)state.written);
	text_addf(ret, "podcred_control_stock_config_total{result=\"conflict\"} %llu\n",
		  (unsigned long long)state.conflicts);
}

void control_api_metrics(struct control_api *api, struct text *ret)
{
	add_status(api, ret);
	add_stock(api, ret);
	add_requests(api, ret);
	add_unreadable(api, ret);
	add_watch("associations", eks_store_state(api->store), ret);
	add_watch("role_policies", kube_role_policies_state(api->policies), ret);
}
