// SPDX-License-Identifier: Apache-2.0
#include "fetch/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/arn.h"
#include "aws/client.h"
#include "aws/imds.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/pack.h"
#include "base/plural.h"
#include "base/secret.h"
#include "config/credentials.h"
#include "credentials/store.h"
#include "fetch/ca.h"
#include "fetch/clock.h"
#include "fetch/node.h"
#include "fetch/region.h"
#include "fetch/rules.h"
#include "fetch/source.h"
#include "kube/annotations.h"
#include "kube/associations.h"
#include "kube/role_policies.h"

#define MAX_PODS	  20000
#define MAX_FLIGHTS	  64
#define MAX_WAITS	  4096
#define NAME_SIZE	  65
#define BROKER_ATTEMPT_NS (2 * CLOCK_S) /* it answers within one */

struct fetch {
	struct fetch_options options;
	struct fetch_env env;
	struct cred_rules rules;
	struct cred_cluster cluster;
	char *ca; /* PEM; NULL: whom the system trusts */
	struct fetch_region *region;
	char *instance_id, *zone_id;
	struct fetch_ticker *ticker;
	struct fetch_cache *cache;
	struct kube_associations *objects; /* NULL: they do not count */
	struct kube_role_policies *policies; /* NULL: as objects */
	struct unusable {
		const char *what;
		char why[KUBE_WATCH_WHY_SIZE]; /* as it was last said */
	} objects_said, policies_said, namespaces_said;
	struct kube_annotations *annotations; /* NULL: the same */
	bool is_ready;
};

static void say(const struct fetch *fetch, bool bad, const char *line)
{
	fetch->options.events.said(fetch->options.events.arg, bad, line);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

/* ---- an attempt ---- */

struct attempt {
	struct fetch *fetch;
	struct fetch_flight *flight;
	const struct fetch_request *request;
	struct fetch_job *job;
	uint64_t began_ns;
};

static const char *last_role(const struct fetch_request *request)
{
	const struct cred_session *session = &request->session;

	return session->n_hops ? session->hops[session->n_hops - 1].role_arn : NULL;
}

static void tell(const struct attempt *attempt, const struct fetch_result *result)
{
	const struct fetch_events *events = &attempt->fetch->options.events;
	const struct fetch_request *request = attempt->request;
	const struct fetch_report report = {
		.pod = &request->pod,
		.source = cred_source_name(request->session.source),
		.role_arn = result->role_arn ?: last_role(request),
		.session_name = result->session_name ?: or_null(request->session.name),
		.result = result,
		.took_ns = clock_mono_ns() - attempt->began_ns,
	};

	events->tried(events->arg, &report);
}

static void on_done(void *arg, const struct fetch_result *result)
{
	struct attempt *attempt = arg;
	struct fetch_flight *flight = attempt->flight;

	tell(attempt, result);
	free(attempt);
	fetch_flight_end(flight, result);
}

static int start(void *arg, void *request, struct fetch_flight *flight, void **ret_job,
		 struct pc_err *err)
{
	struct fetch *fetch = arg;
	struct attempt *attempt = calloc(1, sizeof(*attempt));
	int r;

	if (!attempt)
		return pc_err_set(err, -ENOMEM, "no memory");
	*attempt = (struct attempt){
		.fetch = fetch, .flight = flight, .request = request, .began_ns = clock_mono_ns()};
	r = fetch_source_of(request)(&fetch->env, request, on_done, attempt, &attempt->job, err);
	if (r < 0)
		free(attempt);
	else
		*ret_job = attempt;
	return r;
}

static void cancel(void *arg, void *job)
{
	struct attempt *attempt = job;

	(void)arg;
	fetch_job_cancel(attempt->job);
	free(attempt);
}

/* ---- a question ---- */

struct fetch_pending {
	struct fetch *fetch;
	struct fetch_wait *wait;
	struct kube_annotations_call *annotations; /* they are asked for first */
	struct asked *asked; /* meanwhile */
	fetch_reply_fn *done;
	void *arg;
	const char *source;
	char role[NAME_SIZE]; /* empty: not known */
	char account_id[CRED_ACCOUNT_SIZE];
	char role_arn[AWS_ARN_MAX + 1];
};

/* A copy of the question. */
struct asked {
	struct cred_pod pod;
	char *token; /* NULL: none */
	char texts[];
};

static struct asked *asked_free(struct asked *asked)
{
	if (asked)
		secret_free(asked->token);
	free(asked);
	return NULL;
}

static struct asked *asked_new(const struct cred_pod *pod, const char *token)
{
	const char *const from[] = {pod->namespace, pod->name, pod->uid, pod->service_account};
	const char *to[ARRAY_SIZE(from)];
	struct asked *asked;
	size_t size = 0;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		size += pack_size(from[i]);
	asked = calloc(1, sizeof(*asked) + size);
	if (!asked)
		return NULL;
	at = asked->texts;
	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		to[i] = pack_put(&at, from[i]);
	asked->pod = (struct cred_pod){to[0], to[1], to[2], to[3]};
	asked->token = token ? strdup(token) : NULL;
	return token && !asked->token ? asked_free(asked) : asked;
}

static void pending_free(struct fetch_pending *pending)
{
	asked_free(pending->asked);
	free(pending);
}

struct fetch_pending *fetch_pending_cancel(struct fetch_pending *pending)
{
	if (!pending)
		return NULL;
	fetch_wait_cancel(pending->wait);
	kube_annotations_cancel(pending->annotations);
	pending_free(pending);
	return NULL;
}

/* Of an assumed role, where the association does not know which it is. */
static void name_of_arn(const char *arn, char ret[NAME_SIZE])
{
	struct aws_piece session;
	struct aws_role role;

	if (arn && aws_assumed_role_parse(arn, &role, &session) == 0)
		snprintf(ret, NAME_SIZE, "%.*s", (int)role.name.len, role.name.text);
}

/* True, as all that answer at once. */
static bool reply(struct fetch_pending *pending, const struct fetch_answer *answer)
{
	const struct fetch_value *value = answer->value;
	struct fetch_reply reply = {.answer = *answer, .source = pending->source};

	if (value && !pending->role[0])
		name_of_arn(value->role_arn, pending->role);
	reply.role = or_null(pending->role);
	reply.role_arn = or_null(pending->role_arn) ?: value ? value->role_arn : NULL;
	reply.account_id = (value ? value->account_id : NULL) ?: or_null(pending->account_id);
	reply.session_name = value ? value->session_name : NULL;
	reply.role_id = value ? value->role_id : NULL;
	pending->done(pending->arg, &reply);
	pending_free(pending);
	return true;
}

static void on_answer(void *arg, const struct fetch_answer *answer)
{
	reply(arg, answer);
}

static bool refuse(struct fetch_pending *pending, enum fetch_class class, const char *why,
		   uint64_t again_ns)
{
	const struct fetch_answer answer = {
		.class = class, .state = FETCH_MISS, .why = why, .again_ns = again_ns};

	return reply(pending, &answer);
}

static bool ask_cache(struct fetch_pending *pending, struct fetch_request *request)
{
	const struct cred_association *a = request->association;
	const struct fetch_question question = {
		.pod = request->pod.uid,
		.key = request->session.key,
		.request = request,
		.done = on_answer,
		.arg = pending,
	};
	struct fetch_answer answer;

	pending->source = cred_source_name(request->session.source);
	snprintf(pending->role, sizeof(pending->role), "%s", a->role ?: "");
	snprintf(pending->account_id, sizeof(pending->account_id), "%s", a->account_id ?: "");
	snprintf(pending->role_arn, sizeof(pending->role_arn), "%s", last_role(request) ?: "");
	return fetch_cache_ask(pending->fetch->cache, &question, &answer, &pending->wait) &&
	       reply(pending, &answer);
}

/* ---- which association ---- */

/* The tables that a choice may be from, each with a reference. */
struct tables {
	struct cred_table *file, *object; /* may be NULL */
};

static void tables_done(struct tables *tables)
{
	cred_table_unref(tables->file);
	cred_table_unref(tables->object);
}

static bool ask_for(struct fetch_pending *pending, const struct fetch_request_options *options)
{
	struct fetch_request *request;
	struct pc_err err = {};

	if (fetch_request_new(options, &request, &err) < 0)
		return refuse(pending, FETCH_INVALID, err.msg, 10 * CLOCK_S);
	return ask_cache(pending, request);
}

static bool use(struct fetch_pending *pending, const struct asked *asked,
		const struct cred_choice *choice, const struct tables *tables)
{
	const struct fetch *fetch = pending->fetch;
	const struct fetch_request_options options = {
		.table = choice->table				? choice->table
			 : choice->origin == CRED_ORIGIN_OBJECT ? tables->object
								: tables->file,
		.association = choice->association,
		.default_source = fetch->rules.default_source,
		.pod = &asked->pod,
		.cluster = &fetch->cluster,
		.token = asked->token,
	};

	if (!choice->association)
		return refuse(pending,
			      choice->not_allowed ? FETCH_NOT_ALLOWED
			      : choice->refused	  ? FETCH_DENIED
						  : FETCH_ABSENT,
			      choice->why, 10 * CLOCK_S);
	return ask_for(pending, &options);
}

static void on_annotations(void *arg, const struct kube_annotations_result *result);

static bool ask_annotations(struct fetch_pending *pending, const struct asked *asked)
{
	struct pc_err err = {};

	pending->asked = asked_new(&asked->pod, asked->token);
	if (!pending->asked)
		return refuse(pending, FETCH_BROKEN, "no memory", CLOCK_S);
	if (kube_annotations_get(pending->fetch->annotations, &asked->pod, on_annotations, pending,
				 &pending->annotations, &err) < 0)
		return refuse(pending, FETCH_UNAVAILABLE, err.msg, CLOCK_S);
	return false;
}

/* right: holds what is said of it. */
static void find_object(const struct fetch *fetch, struct cred_facts *facts, struct tables *tables,
			struct cred_rights_answer *right)
{
	const struct cred_association *object;

	kube_associations_find(fetch->objects, facts->namespace, facts->service_account, facts,
			       &tables->object);
	object = facts->object;
	if (!object || !object->role_arn)
		return;
	kube_role_policies_ask(fetch->policies, facts->namespace, object->role_arn,
			       object->target_role_arn, right);
	facts->object_right = right->right;
	facts->right_why = right->why;
}

/* annotations: NULL, they have not been asked for. */
static struct cred_facts find_facts(const struct fetch *fetch, const struct cred_pod *pod,
				    const struct cred_annotations *annotations,
				    struct tables *tables, struct cred_rights_answer *right)
{
	struct cred_store *store = fetch->options.associations;
	struct cred_facts facts = {.namespace = pod->namespace,
				   .service_account = pod->service_account,
				   .object_known = CRED_KNOWN,
				   .annotations_known =
					   fetch->annotations ? CRED_NOT_KNOWN : CRED_KNOWN};

	if (store) {
		tables->file = cred_store_table(store);
		facts.file = cred_table_find(tables->file, pod->namespace, pod->service_account);
	}
	if (fetch->objects)
		find_object(fetch, &facts, tables, right);
	if (annotations) {
		facts.annotations_known = CRED_KNOWN;
		facts.annotations = *annotations;
	}
	return facts;
}

/* True: it was answered, and pending is gone. */
static bool choose(struct fetch_pending *pending, const struct asked *asked,
		   const struct cred_annotations *annotations)
{
	_cleanup_(cred_choice_done) struct cred_choice choice = {};
	_cleanup_(tables_done) struct tables tables = {};
	const struct fetch *fetch = pending->fetch;
	struct cred_rights_answer right;
	struct cred_facts facts = find_facts(fetch, &asked->pod, annotations, &tables, &right);
	int r = cred_choose(&fetch->rules, &facts, &choice);

	if (r == 0)
		return use(pending, asked, &choice, &tables);
	if (r != -EAGAIN)
		return refuse(pending, FETCH_BROKEN, "no memory", CLOCK_S);
	if (choice.origin != CRED_ORIGIN_OBJECT && !annotations)
		return ask_annotations(pending, asked);
	return refuse(pending, FETCH_UNAVAILABLE, choice.steps[choice.origin].why, CLOCK_S);
}

static void on_annotations(void *arg, const struct kube_annotations_result *result)
{
	struct fetch_pending *pending = arg;
	struct asked *asked = TAKE_PTR(pending->asked);

	pending->annotations = NULL;
	if (result->error)
		refuse(pending, result->error == -ENOMEM ? FETCH_BROKEN : FETCH_UNAVAILABLE,
		       result->why, CLOCK_S);
	else
		choose(pending, asked, &result->annotations);
	asked_free(asked);
}

void fetch_credentials(struct fetch *fetch, const struct cred_pod *pod, const char *token,
		       fetch_reply_fn *done, void *arg, struct fetch_pending **ret)
{
	const struct fetch_reply no_memory = {
		.answer = {.class = FETCH_BROKEN, .why = "no memory"}};
	const struct asked asked = {.pod = *pod, .token = (char *)token};
	struct fetch_pending *pending = calloc(1, sizeof(*pending));

	*ret = NULL;
	if (!pending) {
		done(arg, &no_memory);
		return;
	}
	pending->fetch = fetch;
	pending->done = done;
	pending->arg = arg;
	if (!choose(pending, &asked, NULL))
		*ret = pending;
}

void fetch_gone(struct fetch *fetch, const char *pod_uid)
{
	fetch_cache_gone(fetch->cache, pod_uid);
	if (fetch->annotations)
		kube_annotations_gone(fetch->annotations, pod_uid);
}

const char *fetch_association_uid(const struct fetch *fetch, const char *name_space,
				  const char *service_account)
{
	return fetch->objects ? kube_associations_uid(fetch->objects, name_space, service_account)
			      : "";
}

struct aws_imds *fetch_imds(const struct fetch *fetch)
{
	return fetch->env.imds;
}

/* ---- where we are ---- */

static int make_client(struct fetch *fetch, const char *region, struct pc_err *err)
{
	const struct config_credentials *c = fetch->options.config;
	const struct aws_client_options options = {
		.region = region,
		.sts_url = or_null(c->sts_endpoint),
		.eks_auth_url = or_null(c->eks_auth_endpoint),
		.roles_anywhere_url = or_null(c->roles_anywhere_endpoint),
		.fips = c->fips,
		.dual_stack = c->dual_stack,
		.ca = fetch->ca,
		.proxy = or_null(c->proxy),
		.no_proxy = or_null(c->no_proxy),
		.deadline_ns = FETCH_DEADLINE_S * CLOCK_S,
	};

	return aws_client_new(fetch->options.loop, fetch->options.http, &options, &fetch->env.aws,
			      err);
}

/* Nothing of AWS's but the shape of what it says: the region is not looked at. */
static int make_broker(struct fetch *fetch, struct pc_err *err)
{
	const struct config_credentials *c = fetch->options.config;
	_cleanup_free_ char *ca = NULL;
	struct aws_client_options options = {
		.region = fetch_region_known(c) ?: "us-east-1",
		.eks_auth_url = c->broker.url,
		.attempt_ns = BROKER_ATTEMPT_NS,
		.deadline_ns = FETCH_DEADLINE_S * CLOCK_S,
	};
	int r = fetch_read_ca(c->broker.ca_bundle, &ca, err);

	options.ca = ca;
	return r
		       ?: aws_client_new(fetch->options.loop, fetch->options.http, &options,
					 &fetch->env.broker, err);
}

static void be_ready(struct fetch *fetch)
{
	const struct fetch_events *events = &fetch->options.events;

	if (fetch->is_ready)
		return;
	fetch->is_ready = true;
	events->ready(events->arg);
}

bool fetch_is_ready(const struct fetch *fetch)
{
	return fetch->is_ready;
}

static void use_region(struct fetch *fetch, const char *region)
{
	struct pc_err err = {};
	char line[1024];
	int r = make_client(fetch, region, &err);

	if (r < 0)
		snprintf(line, sizeof(line), "region %.64s, which IMDS says: %.768s", region,
			 err.msg);
	else
		snprintf(line, sizeof(line), "region %.64s, as IMDS says", region);
	say(fetch, r < 0, line);
}

static void on_place(void *arg, const struct aws_place *place, const char *why)
{
	struct fetch *fetch = arg;
	char line[600];

	if (place) {
		fetch->instance_id = place->instance_id ? strdup(place->instance_id) : NULL;
		fetch->zone_id = place->zone_id ? strdup(place->zone_id) : NULL;
		fetch->env.instance_id = fetch->instance_id;
		fetch->env.zone_id = fetch->zone_id;
		if (!fetch->env.aws)
			use_region(fetch, place->region);
	} else if (!fetch->env.aws && !fetch->is_ready) {
		snprintf(line, sizeof(line),
			 "the region is not known: %.400s. Set credentials.region or AWS_REGION, "
			 "if this is no EC2 instance",
			 why);
		say(fetch, true, line);
	}
	be_ready(fetch);
}

/* EKS Auth is told the instance as well, where there is one. */
static int find_place(struct fetch *fetch, struct pc_err *err)
{
	const char *region = fetch_region_known(fetch->options.config);
	bool asks = !region || fetch->options.config->source == CONFIG_SOURCE_EKS_AUTH;
	bool brokered = fetch->options.config->source == CONFIG_SOURCE_BROKER;
	int r = region ? make_client(fetch, region, err) : 0;

	if (r == 0 && brokered)
		r = make_broker(fetch, err);
	if (r < 0)
		return r;
	fetch->is_ready = region || brokered;
	if (!asks || brokered)
		return 0;
	r = fetch_region_start(fetch->options.loop, fetch->env.imds, on_place, fetch,
			       &fetch->region);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

/* ---- life ---- */

static void on_said(void *arg, bool bad, const char *line)
{
	say(arg, bad, line);
}

static int make_cache(struct fetch *fetch)
{
	struct fetch_cache_options options = {
		.arg = fetch,
		.start = start,
		.cancel = cancel,
		.free_request = fetch_request_free,
		.max_pods = fetch->options.max_pods ?: MAX_PODS,
		.max_flights = MAX_FLIGHTS,
		.max_waits = MAX_WAITS,
	};
	int r = fetch_ticker_new(fetch->options.loop, &fetch->ticker);

	if (r < 0)
		return r;
	options.clock = fetch_ticker_clock(fetch->ticker);
	r = fetch_cache_new(&options, &fetch->cache);
	if (r == 0)
		fetch_ticker_drive(fetch->ticker, fetch->cache);
	return r;
}

/* ---- the cluster's word ---- */

static void on_changed(void *arg, const char *name_space, const char *service_account)
{
	const struct fetch *fetch = arg;
	const struct fetch_events *events = &fetch->options.events;

	(void)name_space;
	(void)service_account;
	events->changed(events->arg);
}

static void on_policies_changed(void *arg)
{
	const struct fetch *fetch = arg;
	const struct fetch_events *events = &fetch->options.events;

	events->changed(events->arg);
}

static void say_unusable(struct fetch *fetch, struct unusable *said,
			 const struct kube_watch_state *state)
{
	char line[700];

	if (strcmp(said->why, state->unusable_why) == 0)
		return;
	snprintf(said->why, sizeof(said->why), "%s", state->unusable_why);
	if (!state->unusable) {
		snprintf(line, sizeof(line), "all %s objects can be used again", said->what);
		say(fetch, false, line);
		return;
	}
	snprintf(line, sizeof(line), "%zu %s object%s cannot be used: %.500s", state->unusable,
		 said->what, plural(state->unusable), state->unusable_why);
	say(fetch, true, line);
}

static void say_state(struct fetch *fetch, struct unusable *said,
		      const struct kube_watch_state *state)
{
	char line[700];

	say_unusable(fetch, said, state);
	if (!*state->why)
		return;
	snprintf(line, sizeof(line), "%.600s; the objects known before stay in force", state->why);
	say(fetch, true, line);
}

static void on_objects_state(void *arg, const struct kube_watch_state *state)
{
	struct fetch *fetch = arg;

	fetch->objects_said.what = "PodIdentityAssociation";
	say_state(fetch, &fetch->objects_said, state);
}

static void on_policies_state(void *arg, const struct kube_watch_state *state)
{
	struct fetch *fetch = arg;

	fetch->policies_said.what = "PodIdentityRolePolicy";
	say_state(fetch, &fetch->policies_said, state);
}

static void on_namespaces_state(void *arg, const struct kube_watch_state *state)
{
	struct fetch *fetch = arg;

	fetch->namespaces_said.what = "Namespace";
	say_state(fetch, &fetch->namespaces_said, state);
}

static int follow_objects(struct fetch *fetch)
{
	static const struct kube_associations_events events = {.changed = on_changed,
							       .state = on_objects_state};
	static const struct kube_role_policies_events policies_events = {
		.changed = on_policies_changed,
		.state = on_policies_state,
		.namespaces_state = on_namespaces_state};
	const struct fetch_options *o = &fetch->options;
	int r = kube_associations_new(o->loop, o->kube, fetch->rules.default_source, NULL, &events,
				      fetch, &fetch->objects);

	return r < 0 ? r
		     : kube_role_policies_new(o->loop, o->kube, NULL, &policies_events, fetch,
					      &fetch->policies);
}

static int follow_cluster(struct fetch *fetch, struct pc_err *err)
{
	const struct fetch_options *o = &fetch->options;
	const struct cred_rules *rules = &fetch->rules;
	bool iam = rules->kube2iam || rules->kiam;
	int r = 0;

	if (!o->kube && (rules->objects || rules->irsa || iam))
		return pc_err_set(err, -EINVAL,
				  "credentials: objects and migration need an API server; give "
				  "--kubeconfig, or turn them off");
	if (rules->objects)
		r = follow_objects(fetch);
	if (r == 0 && (rules->irsa || iam))
		r = kube_annotations_new(o->loop, o->kube, rules->irsa, iam, 0,
					 &fetch->annotations);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static int make(struct fetch *fetch, struct pc_err *err)
{
	const struct fetch_options *o = &fetch->options;
	int r = fetch_read_ca(o->config->ca_bundle, &fetch->ca, err);

	if (r < 0)
		return r;
	r = aws_imds_new(o->loop, o->http, or_null(o->config->imds_endpoint), &fetch->env.imds,
			 err);
	if (r < 0)
		return r;
	r = fetch_node_new(&fetch->env, on_said, fetch, &fetch->env.node);
	r = r ?: make_cache(fetch);
	if (r < 0)
		return pc_err_set(err, r, "no memory");
	r = follow_cluster(fetch, err);
	return r ?: find_place(fetch, err);
}

struct fetch *fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return NULL;
	fetch_region_cancel(fetch->region);
	fetch_cache_free(fetch->cache);
	fetch_ticker_free(fetch->ticker);
	kube_associations_free(fetch->objects);
	kube_role_policies_free(fetch->policies);
	kube_annotations_free(fetch->annotations);
	fetch_node_free(fetch->env.node);
	aws_client_free(fetch->env.aws);
	aws_client_free(fetch->env.broker);
	aws_imds_free(fetch->env.imds);
	free(fetch->instance_id);
	free(fetch->zone_id);
	free(fetch->ca);
	free(fetch);
	return NULL;
}

int fetch_refuse_issuer(struct pc_err *err)
{
	return pc_err_set(
		err, -EINVAL,
		"the source issuer is podcred broker's: on nodes, each of them would have "
		"the keys; write credentials: {source: broker} here");
}

int fetch_new(const struct fetch_options *options, struct fetch **ret, struct pc_err *err)
{
	struct fetch *fetch;
	int r;

	if (options->config->source == CONFIG_SOURCE_ISSUER && !options->issuer.issue)
		return fetch_refuse_issuer(err);
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return pc_err_set(err, -ENOMEM, "no memory");
	fetch->options = *options;
	fetch->env = (struct fetch_env){
		.loop = options->loop,
		.config = options->config,
		.http = options->http,
		.kube = options->kube,
		.node_name = options->node_name,
		.issuer = &fetch->options.issuer,
	};
	fetch_rules(fetch->options.config, &fetch->rules, &fetch->cluster);
	r = make(fetch, err);
	if (r < 0)
		fetch_free(fetch);
	else
		*ret = fetch;
	return r;
}
