// SPDX-License-Identifier: Apache-2.0
/* One association: its keys, and what goes with what. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/timestamp.h"
#include "credentials/internal.h"
#include "credentials/session.h"
#include "credentials/values.h"

#define DURATION_MIN   900
#define DURATION_MAX   43200
#define CHAINED_MAX    3600
#define ARGUMENTS_MAX  32
#define VARIABLES_MAX  64
#define EKS_TAGS_COUNT 6

#define KEY(name, member, valid, wants, required)                                                  \
	YML_TEXT(name, struct cred_association, member, valid, wants, required)

static const char *const session_words[] = {
	[CRED_SESSION_POD] = "pod",
	[CRED_SESSION_SERVICE_ACCOUNT] = "serviceAccount",
	[CRED_SESSION_EKS] = "eks",
};
static const char *const bool_words[] = {"false", "true"};

static const char *const source_names[] = {
	[CRED_SOURCE_DEFAULT] = "default",
	[CRED_SOURCE_STATIC] = "static",
	[CRED_SOURCE_EXEC] = "exec",
	[CRED_SOURCE_STS] = "sts",
	[CRED_SOURCE_WEB_IDENTITY] = "webIdentity",
	[CRED_SOURCE_EKS_AUTH] = "eksAuth",
	[CRED_SOURCE_BROKER] = "broker",
	[CRED_SOURCE_ISSUER] = "issuer",
};

bool cred_source_knows_role(enum cred_source source)
{
	return source == CRED_SOURCE_EKS_AUTH || source == CRED_SOURCE_BROKER;
}

const char *cred_source_name(enum cred_source source)
{
	return source_names[source];
}

const char *cred_origin_name(enum cred_origin origin)
{
	static const char *const names[] = {
		[CRED_ORIGIN_FILE] = "file", [CRED_ORIGIN_OBJECT] = "object",
		[CRED_ORIGIN_IRSA] = "irsa", [CRED_ORIGIN_KUBE2IAM] = "kube2iam",
		[CRED_ORIGIN_KIAM] = "kiam", [CRED_ORIGIN_EKS] = "eks",
	};

	return names[origin];
}

/* ---- mappings with keys of their own: tags, environment ---- */

struct pairs_rule {
	const char *what, *key_wants, *value_wants;
	bool (*is_key)(const char *s);
	bool (*is_value)(const char *s);
	bool (*is_same)(const char *a, const char *b);
	size_t max;
};

static int read_pair(const struct yml_source *src, const struct yml_node *name,
		     const struct pairs_rule *rule, const struct cred_pair *before, size_t n,
		     struct cred_pair *ret)
{
	const char *key = yml_text(name), *value = yml_text(name->next);

	if (!key || !rule->is_key(key))
		return yml_bad(src, name, "bad name in '%s'; write %s", rule->what,
			       rule->key_wants);
	if (!value || !rule->is_value(value))
		return yml_bad(src, name->next, "bad value in '%s'; write %s", rule->what,
			       rule->value_wants);
	for (size_t i = 0; i < n; i++)
		if (rule->is_same(before[i].key, key))
			return yml_bad(src, name, "a name in '%s' is there twice%s; remove one",
				       rule->what,
				       cred_is_same_variable(before[i].key, key)
					       ? ""
					       : ", but for upper and lower case");
	*ret = (struct cred_pair){key, value};
	return 0;
}

/* *ret is the caller's, also after an error. */
static int read_pairs(const struct yml_source *src, const struct yml_node *node,
		      const struct pairs_rule *rule, const struct cred_pair **ret, size_t *ret_n)
{
	struct cred_pair *pairs;
	int r;

	if (node->kind != YML_MAPPING)
		return yml_bad(src, node, "'%s' is no mapping; write \"name: value\" lines",
			       rule->what);
	if (node->len / 2 > rule->max)
		return yml_bad(src, node, "more than %zu names in '%s'; remove some", rule->max,
			       rule->what);
	pairs = calloc(node->len / 2 + 1, sizeof(*pairs));
	if (!pairs)
		return pc_err_set(src->err, -ENOMEM, "%s: out of memory", src->name);
	*ret = pairs;
	for (const struct yml_node *name = node->first; name; name = name->next->next) {
		r = read_pair(src, name, rule, pairs, *ret_n, &pairs[*ret_n]);
		if (r < 0)
			return r;
		++*ret_n;
	}
	return 0;
}

static int read_tags(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct pairs_rule rule = {
		.what = "tags",
		.key_wants = "1 to 128 letters, digits, blanks and _ . : / = + - @, not beginning "
			     "with aws:",
		.value_wants = "up to 256 letters, digits, blanks and _ . : / = + - @",
		.is_key = cred_is_tag_key,
		.is_value = cred_is_tag_value,
		.is_same = cred_is_same_tag,
		.max = CRED_TAGS_MAX,
	};
	struct cred_association *a = target;

	return read_pairs(src, node, &rule, &a->tags, &a->n_tags);
}

/* ---- sources ---- */

static int set_source(const struct yml_source *src, const struct yml_node *node,
		      struct cred_association *a, enum cred_source source)
{
	if (a->source != CRED_SOURCE_DEFAULT)
		return yml_bad(src, node,
			       "'%s' beside '%s': an association has one source; remove one",
			       source_names[source], source_names[a->source]);
	a->source = source;
	return 0;
}

static int read_static(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		KEY("accessKeyId", keys.access_key_id, cred_is_access_key_id,
		    "1 to 128 letters and digits", true),
		KEY("secretAccessKey", keys.secret_access_key, cred_is_secret,
		    "printable characters without spaces", true),
		KEY("sessionToken", keys.session_token, cred_is_secret,
		    "printable characters without spaces; several SDKs refuse credentials that "
		    "have none",
		    true),
		KEY("expiration", keys.expiration, cred_is_timestamp,
		    "UTC time as 2026-12-01T00:00:00Z", false),
	};
	struct cred_association *a = target;
	int r = set_source(src, node, a, CRED_SOURCE_STATIC);

	if (r == 0)
		r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), a);
	if (r == 0 && a->keys.expiration)
		timestamp_parse(a->keys.expiration, &a->expires);
	return r;
}

static int read_command(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct cred_association *a = target;
	const char **command;
	size_t n = 0;

	if (node->kind != YML_LIST || !node->len || node->len > ARGUMENTS_MAX)
		return yml_bad(src, node,
			       "bad value of 'command'; write a list of a program's absolute path "
			       "and its arguments, %d at most",
			       ARGUMENTS_MAX);
	command = calloc(node->len + 1, sizeof(*command));
	if (!command)
		return pc_err_set(src->err, -ENOMEM, "%s: out of memory", src->name);
	a->exec.command = command;
	for (const struct yml_node *i = node->first; i; i = i->next) {
		const char *text = yml_text(i);

		if (!text || !(n ? cred_is_argument(text) : cred_is_absolute(text)))
			return yml_bad(src, i, "bad entry of 'command'; write %s",
				       n ? "printable text" : "the program's absolute path");
		command[n++] = text;
	}
	return 0;
}

static int read_environment(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct pairs_rule rule = {
		.what = "environment",
		.key_wants = "letters, digits and _, not beginning with a digit",
		.value_wants = "printable text",
		.is_key = cred_is_variable,
		.is_value = cred_is_argument,
		.is_same = cred_is_same_variable,
		.max = VARIABLES_MAX,
	};
	struct cred_exec *exec = &((struct cred_association *)target)->exec;

	return read_pairs(src, node, &rule, &exec->environment, &exec->n_environment);
}

static int read_exec(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_REQUIRED("command", read_command),
		YML_KEY("environment", read_environment),
	};
	int r = set_source(src, node, target, CRED_SOURCE_EXEC);

	return r < 0 ? r : yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

static int read_empty(const struct yml_source *src, const struct yml_node *node,
		      struct cred_association *a, enum cred_source source)
{
	if (node->kind != YML_MAPPING || node->len)
		return yml_bad(src, node, "'%s' has no keys; write %s: {}", source_names[source],
			       source_names[source]);
	return set_source(src, node, a, source);
}

static int read_sts(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return read_empty(src, node, target, CRED_SOURCE_STS);
}

static int read_eks_auth(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return read_empty(src, node, target, CRED_SOURCE_EKS_AUTH);
}

static int read_broker(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return read_empty(src, node, target, CRED_SOURCE_BROKER);
}

static int read_web_identity(const struct yml_source *src, const struct yml_node *node,
			     void *target)
{
	static const struct yml_key keys[] = {
		KEY("audience", audience, cred_is_audience,
		    "the audience of the token, as sts.amazonaws.com", false),
	};
	int r = set_source(src, node, target, CRED_SOURCE_WEB_IDENTITY);

	return r < 0 ? r : yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

/* ---- what goes with what ---- */

const char *cred_association_conflict(const struct cred_association *a,
				      enum cred_source default_source)
{
	switch (cred_source_of(a, default_source)) {
	case CRED_SOURCE_EKS_AUTH:
		if (a->role_arn)
			return "'roleArn' does not go with the source eksAuth, as EKS knows the "
			       "role; "
			       "remove it, or name another source";
		return NULL;
	case CRED_SOURCE_BROKER:
		/* an object is the broker's as well, and says here only when to ask it anew */
		if (a->role_arn && a->origin != CRED_ORIGIN_OBJECT)
			return "'roleArn' does not go with the source broker, as the broker knows "
			       "the role; remove it, or name another source";
		return NULL;
	case CRED_SOURCE_WEB_IDENTITY:
		if (a->external_id && !a->target_role_arn)
			return "'externalId' does not go with the source webIdentity, but for a "
			       "target role; remove it";
		if (a->n_tags && !a->target_role_arn)
			return "'tags' do not go with the source webIdentity, but for a target "
			       "role, "
			       "as a web identity brings its own; remove them";
		return NULL;
	case CRED_SOURCE_ISSUER:
		if (a->external_id && !a->target_role_arn)
			return "'externalId' does not go with the source issuer, but for a target "
			       "role; remove it";
		return NULL;
	default:
		return NULL;
	}
}

enum cred_source cred_source_of(const struct cred_association *a, enum cred_source default_source)
{
	return a->source == CRED_SOURCE_DEFAULT ? default_source : a->source;
}

static bool makes_session(const struct cred_association *a)
{
	return a->source != CRED_SOURCE_STATIC && a->source != CRED_SOURCE_EXEC &&
	       !cred_source_knows_role(a->source);
}

/* A key of those that are only for roles that podcred assumes, or NULL. */
static const struct yml_node *session_key(const struct yml_node *node, const char **ret)
{
	static const char *const keys[] = {"roleArn",	      "targetRoleArn", "externalId",
					   "policy",	      "tags",	       "disableSessionTags",
					   "durationSeconds", "sessionName"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		*ret = keys[i];
		if (yml_get(node, keys[i]))
			return yml_get(node, keys[i]);
	}
	return NULL;
}

/* Keys of the file that name a role which podcred does not assume itself. */
static int check_named_role(const struct yml_source *src, const struct yml_node *node,
			    const struct cred_association *a)
{
	const char *key, *source = source_names[a->source];
	const struct yml_node *extra = session_key(node, &key);

	if (extra)
		return yml_bad(src, extra, "'%s' does not go with the source %s; remove it", key,
			       source);
	if (cred_source_knows_role(a->source) && (a->role || a->account_id))
		return yml_bad(src, node,
			       "'%s' does not go with the source %s, as %s knows the role; remove "
			       "it",
			       a->role ? "role" : "accountId", source,
			       a->source == CRED_SOURCE_BROKER ? "the broker" : "EKS");
	if (!cred_source_knows_role(a->source) && !a->role)
		return yml_bad(src, node, "missing key 'role'; add it");
	return 0;
}

static int check_tags(const struct yml_source *src, const struct yml_node *node,
		      const struct cred_association *a)
{
	/* also where they are not sent: policies trust them to say which pod it is */
	for (size_t i = 0; i < a->n_tags; i++)
		if (cred_is_eks_tag(a->tags[i].key))
			return yml_bad(src, node,
				       "a tag has the name of one that podcred sets itself; rename "
				       "it");
	if (!a->disable_session_tags && a->n_tags > CRED_TAGS_MAX - EKS_TAGS_COUNT)
		return yml_bad(src, node,
			       "more than %d tags, beside the %d that podcred sets itself; remove "
			       "some, or write disableSessionTags: true",
			       CRED_TAGS_MAX - EKS_TAGS_COUNT, EKS_TAGS_COUNT);
	return 0;
}

static int check_session(const struct yml_source *src, const struct yml_node *node,
			 const struct cred_association *a)
{
	const char *conflict = cred_association_conflict(a, CRED_SOURCE_DEFAULT);

	if (!a->role_arn)
		return yml_bad(src, node, "missing key '%s'; add it%s",
			       a->role ? "static" : "roleArn",
			       a->role ? ", or roleArn in place of role" : "");
	if (a->role)
		return yml_bad(src, yml_get(node, "role"),
			       "'role' beside 'roleArn', which has the name; remove it");
	if (a->account_id)
		return yml_bad(src, yml_get(node, "accountId"),
			       "'accountId' beside 'roleArn', which has it; remove it");
	if (a->policy && !a->disable_session_tags)
		return yml_bad(src, yml_get(node, "policy"),
			       "'policy' goes with disableSessionTags: true only, as both share "
			       "what little room STS has; add that");
	if (a->target_role_arn && a->duration > CHAINED_MAX)
		return yml_bad(src, yml_get(node, "durationSeconds"),
			       "AWS allows an hour for a target role; write %d at most",
			       CHAINED_MAX);
	if (conflict)
		return yml_bad(src, node, "%s", conflict);
	return check_tags(src, node, a);
}

/* The last role of the chain is the pod's. */
void cred_name_role(struct cred_association *a)
{
	const char *arn = a->target_role_arn ?: a->role_arn;

	if (!arn)
		return;
	a->role = cred_role_of(arn);
	memcpy(a->account, strstr(arn, ":iam::") + 6, CRED_ACCOUNT_SIZE - 1);
	a->account_id = a->account;
}

static int finish(const struct yml_source *src, const struct yml_node *node,
		  struct cred_association *a)
{
	int r = makes_session(a) ? check_session(src, node, a) : check_named_role(src, node, a);

	if (r == 0)
		cred_name_role(a);
	return r;
}

/* ---- the keys ---- */

static int read_duration(const struct yml_source *src, const struct yml_node *node, void *target)
{
	const char *text = yml_text(node);
	uint64_t seconds;

	if (!text || parse_u64(text, DURATION_MAX, &seconds) < 0 || seconds < DURATION_MIN)
		return yml_bad(src, node, "bad value of 'durationSeconds'; write %d to %d seconds",
			       DURATION_MIN, DURATION_MAX);
	((struct cred_association *)target)->duration = (unsigned)seconds;
	return 0;
}

#define ARN_WANTS "an ARN as arn:aws:iam::111122223333:role/NAME"

#define SESSION_KEYS                                                                               \
	KEY("roleArn", role_arn, cred_is_role_arn, ARN_WANTS, false),                              \
		KEY("targetRoleArn", target_role_arn, cred_is_role_arn, ARN_WANTS, false),         \
		KEY("externalId", external_id, cred_is_external_id,                                \
		    "2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -", false),                          \
		KEY("policy", policy, cred_is_policy,                                              \
		    "a policy as a string: one JSON object, 2048 characters at most", false),      \
		YML_KEY("tags", read_tags),                                                        \
		YML_WORD("disableSessionTags", struct cred_association, disable_session_tags,      \
			 bool_words),                                                              \
		YML_KEY("durationSeconds", read_duration),                                         \
		YML_WORD("sessionName", struct cred_association, session_form, session_words)

int cred_read_entry(const struct yml_source *src, const struct yml_node *node,
		    struct cred_association *a)
{
	static const struct yml_key keys[] = {
		KEY("namespace", namespace, cred_is_namespace,
		    "a Kubernetes namespace: 1 to 63 of a-z, 0-9 and -", true),
		KEY("serviceAccount", service_account, cred_is_service_account,
		    "a service account's name, without wildcards", true),
		KEY("role", role, cred_is_role,
		    "a role's name, not its ARN: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -", false),
		KEY("accountId", account_id, cred_is_account_id, "12 digits", false),
		SESSION_KEYS,
		YML_KEY("static", read_static),
		YML_KEY("exec", read_exec),
		YML_KEY("sts", read_sts),
		YML_KEY("webIdentity", read_web_identity),
		YML_KEY("eksAuth", read_eks_auth),
		YML_KEY("broker", read_broker),
	};
	int r;

	a->duration = CRED_DURATION_DEFAULT;
	r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), a);
	if (r < 0)
		return r;
	a->line = yml_get(node, "serviceAccount")->line;
	return finish(src, node, a);
}

int cred_read_spec(const struct yml_source *src, const struct yml_node *node,
		   struct cred_association *a)
{
	static const struct yml_key keys[] = {SESSION_KEYS};
	int r;

	a->duration = CRED_DURATION_DEFAULT;
	r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), a);
	return r < 0 ? r : finish(src, node, a);
}

void cred_association_done(struct cred_association *a)
{
	free((void *)a->tags);
	free((void *)a->exec.command);
	free((void *)a->exec.environment);
}
