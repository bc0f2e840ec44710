// SPDX-License-Identifier: Apache-2.0
#include "credentials/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "credentials/values.h"
#include "crypto/hmac.h"

#define FIRST_HOP_DURATION 900 /* the least: it has to last for the second call only */
#define KEY_TEXT_MAX	   (1 << 20)
#define HASH_CHARS	   10
#define UID_CHARS	   36
#define NAME_MAX_CHARS	   (CRED_SESSION_NAME_SIZE - 1)

/* In lower-case hex, as many bytes as fit into size. */
static int digest(const void *data, size_t len, char *ret, size_t size)
{
	static const char label[] = "podcred session";
	uint8_t mac[CRYPTO_SHA256_SIZE];
	int r = crypto_hmac_sha256(label, sizeof(label) - 1, data, len, mac);

	for (size_t i = 0; r == 0 && 2 * i + 2 < size; i++)
		snprintf(ret + 2 * i, 3, "%02x", mac[i]);
	return r;
}

/* ---- the session's name ---- */

/* What STS takes; the other characters become '-'. Whether there were any. */
static bool reduce(char *text)
{
	bool changed = false;

	for (; *text; text++) {
		const char one[] = {*text, '\0'};

		if (!cred_is_made_of(one, 1, 1, "_+=,.@-")) {
			*text = '-';
			changed = true;
		}
	}
	return changed;
}

/* What does not fit gets a hash in place of its end, so that two long names stay two. */
static int shorten(char *text, char ret[CRED_SESSION_NAME_SIZE])
{
	char hash[HASH_CHARS + 1];
	int r = digest(text, strlen(text), hash, sizeof(hash));

	if (!reduce(text) && strlen(text) <= NAME_MAX_CHARS) {
		strcpy(ret, text);
		return 0;
	}
	snprintf(ret, CRED_SESSION_NAME_SIZE, "%.*s-%s", NAME_MAX_CHARS - HASH_CHARS - 1, text,
		 hash);
	return r;
}

/* As EKS makes them, with the pod's uid for the random one: MSK closes connections whose session changes its
 * name when it is renewed. */
static void name_like_eks(const struct cred_pod *pod, const struct cred_cluster *cluster,
			  char ret[CRED_SESSION_NAME_SIZE])
{
	char text[512];

	snprintf(text, sizeof(text), "eks-%s%s%s", cluster->name ?: "", cluster->name ? "-" : "",
		 pod->name);
	reduce(text);
	snprintf(ret, CRED_SESSION_NAME_SIZE, "%.*s-%.*s", NAME_MAX_CHARS - UID_CHARS - 1, text,
		 UID_CHARS, pod->uid);
}

static int make_name(const struct cred_association *a, const struct cred_pod *pod,
		     const struct cred_cluster *cluster, char ret[CRED_SESSION_NAME_SIZE])
{
	bool with_pod = a->session_form == CRED_SESSION_POD;
	char text[1024];

	if (!a->session_text && a->session_form == CRED_SESSION_EKS) {
		name_like_eks(pod, cluster, ret);
		return 0;
	}
	if (a->session_text)
		snprintf(text, sizeof(text), "%s", a->session_text);
	else
		snprintf(text, sizeof(text), "%s.%s%s%s", pod->namespace, pod->service_account,
			 with_pod ? "." : "", with_pod ? pod->name : "");
	return shorten(text, ret);
}

/* ---- tags and external id ---- */

static void add_tag(struct cred_session *s, const char *key, const char *value)
{
	if (value && s->n_tags < CRED_TAGS_MAX)
		s->tags[s->n_tags++] = (struct cred_pair){key, value};
}

static void make_tags(const struct cred_association *a, const struct cred_pod *pod,
		      const struct cred_cluster *cluster, struct cred_session *s)
{
	const char *const values[] = {cluster->arn,	    cluster->name, pod->namespace,
				      pod->service_account, pod->name,	   pod->uid};

	for (size_t i = 0; !a->disable_session_tags && i < ARRAY_SIZE(values); i++)
		add_tag(s, cred_eks_tags[i], values[i]);
	for (size_t i = 0; i < a->n_tags; i++)
		add_tag(s, a->tags[i].key, a->tags[i].value);
}

/* REGION/ACCOUNT/CLUSTER/NAMESPACE/SERVICEACCOUNT, as EKS has it; "" when the cluster's ARN is not known. */
static void make_external_id(const struct cred_association *a, const struct cred_cluster *cluster,
			     char ret[CRED_EXTERNAL_ID_SIZE])
{
	char region[64], account[16], name[101];

	ret[0] = '\0';
	if (!cluster->arn || sscanf(cluster->arn, "arn:%*[^:]:eks:%63[^:]:%15[0-9]:cluster/%100s",
				    region, account, name) != 3)
		return;
	snprintf(ret, CRED_EXTERNAL_ID_SIZE, "%s/%s/%s/%s/%s", region, account, name, a->namespace,
		 a->service_account);
}

/* ---- the calls ---- */

static struct cred_hop *add_hop(struct cred_session *s, const char *role_arn)
{
	struct cred_hop *hop = &s->hops[s->n_hops++];

	*hop = (struct cred_hop){.role_arn = role_arn, .duration = FIRST_HOP_DURATION};
	return hop;
}

/* Tags go with the first call, but for that of a web identity: they are transitive, and STS refuses to have them
 * passed again. External id, policy and duration are those of the role that the pod gets. */
static void make_hops(const struct cred_association *a, const struct cred_cluster *cluster,
		      struct cred_session *s)
{
	bool web = s->source == CRED_SOURCE_WEB_IDENTITY;
	struct cred_hop *last = add_hop(s, a->role_arn);

	last->tagged = !web;
	if (a->target_role_arn) {
		last = add_hop(s, a->target_role_arn);
		last->tagged = web;
		if (!a->external_id)
			make_external_id(a, cluster, s->external_id);
	}
	last->external_id = a->external_id ?: s->external_id[0] ? s->external_id : NULL;
	last->policy = a->policy;
	last->duration = a->duration;
	for (size_t i = 0; i < s->n_hops; i++)
		s->hops[i].tagged = s->hops[i].tagged && s->n_tags;
}

static int make_session(const struct cred_association *a, const struct cred_pod *pod,
			const struct cred_cluster *cluster, struct cred_session *s)
{
	if (s->source != CRED_SOURCE_WEB_IDENTITY || a->target_role_arn)
		make_tags(a, pod, cluster, s);
	make_hops(a, cluster, s);
	return make_name(a, pod, cluster, s->name);
}

/* ---- the key ---- */

/* "5:value," so that no two lists of values look the same; NULL is none of them. */
static void put(struct text *t, const char *value)
{
	if (value) {
		text_addf(t, "%zu:", strlen(value));
		text_add(t, value);
	}
	text_add(t, ",");
}

static void put_session(struct text *t, const struct cred_session *s)
{
	put(t, s->name);
	for (size_t i = 0; i < s->n_hops; i++) {
		const struct cred_hop *hop = &s->hops[i];

		put(t, hop->role_arn);
		put(t, hop->external_id);
		put(t, hop->policy);
		text_addf(t, "%u,%d;", hop->duration, hop->tagged);
	}
	for (size_t i = 0; i < s->n_tags; i++) {
		put(t, s->tags[i].key);
		put(t, s->tags[i].value);
	}
}

static void put_exec(struct text *t, const struct cred_exec *exec)
{
	for (const char *const *word = exec->command; *word; word++)
		put(t, *word);
	text_add(t, ";");
	for (size_t i = 0; i < exec->n_environment; i++) {
		put(t, exec->environment[i].key);
		put(t, exec->environment[i].value);
	}
}

/* All that changes the answer. Whose token is asked for does, though no call names it. */
static void put_all(struct text *t, const struct cred_association *a, const struct cred_pod *pod,
		    const struct cred_cluster *cluster, const struct cred_session *s)
{
	put(t, cred_source_name(s->source));
	if (s->source != CRED_SOURCE_STS) {
		put(t, pod->namespace);
		put(t, pod->service_account);
	}
	switch (s->source) {
	case CRED_SOURCE_EXEC:
		put_exec(t, &a->exec);
		break;
	case CRED_SOURCE_BROKER:
		put_session(t, s);
		/* fall through */
	case CRED_SOURCE_EKS_AUTH:
		put(t, cluster->name);
		put(t, pod->name);
		put(t, pod->uid);
		break;
	case CRED_SOURCE_WEB_IDENTITY:
		put(t, a->audience);
		put_session(t, s);
		break;
	default:
		put_session(t, s);
	}
}

static int make_key(const struct cred_association *a, const struct cred_pod *pod,
		    const struct cred_cluster *cluster, struct cred_session *s)
{
	_cleanup_(text_done) struct text t = {.max = KEY_TEXT_MAX};

	put_all(&t, a, pod, cluster, s);
	return text_error(&t) ?: digest(t.data, t.len, s->key, sizeof(s->key));
}

/* ---- all of it ---- */

/* Of an object that is followed on the node: the broker will make the same, and is asked anew when it changes. */
static bool is_made_elsewhere(const struct cred_association *a, const struct cred_session *s)
{
	return s->source == CRED_SOURCE_BROKER && a->role_arn;
}

static bool assumes(enum cred_source source)
{
	return source == CRED_SOURCE_STS || source == CRED_SOURCE_WEB_IDENTITY ||
	       source == CRED_SOURCE_ISSUER;
}

static void leave_to_broker(struct cred_session *s)
{
	s->n_hops = s->n_tags = 0;
	s->name[0] = s->external_id[0] = '\0';
}

int cred_session_plan(const struct cred_association *a, enum cred_source default_source,
		      const struct cred_pod *pod, const struct cred_cluster *cluster,
		      struct cred_session *ret, struct pc_err *err)
{
	const char *conflict = cred_association_conflict(a, default_source);
	int r = 0;

	*ret = (struct cred_session){.source = cred_source_of(a, default_source)};
	if (conflict)
		return pc_err_set(err, -EINVAL, "association of %s/%s: %s", a->namespace,
				  a->service_account, conflict);
	if (cred_source_knows_role(ret->source) && !cluster->name)
		return pc_err_set(err, -EINVAL,
				  "the source %s needs the cluster's name; add credentials: "
				  "{cluster: {name: NAME}} to the configuration",
				  cred_source_name(ret->source));
	if (assumes(ret->source) || is_made_elsewhere(a, ret))
		r = make_session(a, pod, cluster, ret);
	if (r == 0)
		r = make_key(a, pod, cluster, ret);
	if (is_made_elsewhere(a, ret))
		leave_to_broker(ret);
	return r < 0 ? pc_err_set(err, r, "association of %s/%s: %s", a->namespace,
				  a->service_account, strerror(-r))
		     : 0;
}
