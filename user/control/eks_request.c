// SPDX-License-Identifier: Apache-2.0
#include "control/eks_request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/parse.h"

#define SEGMENTS_MAX 5
#define ON(op)	     (1U << (op))

int eks_error_set(struct eks_error *error, unsigned status, const char *name, const char *fmt, ...)
{
	va_list ap;

	error->status = status;
	error->name = name;
	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const char *eks_op_name(enum eks_op op)
{
	static const char *const names[EKS_OPS] = {
		[EKS_CREATE] = "CreatePodIdentityAssociation",
		[EKS_LIST] = "ListPodIdentityAssociations",
		[EKS_DESCRIBE] = "DescribePodIdentityAssociation",
		[EKS_UPDATE] = "UpdatePodIdentityAssociation",
		[EKS_DELETE] = "DeletePodIdentityAssociation",
		[EKS_TAG] = "TagResource",
		[EKS_UNTAG] = "UntagResource",
		[EKS_LIST_TAGS] = "ListTagsForResource",
		[EKS_DESCRIBE_CLUSTER] = "DescribeCluster",
		[EKS_DESCRIBE_VERSIONS] = "DescribeClusterVersions",
		[EKS_DESCRIBE_ADDON] = "DescribeAddon",
	};

	return names[op];
}

static bool is_tag_op(enum eks_op op)
{
	return op == EKS_TAG || op == EKS_UNTAG || op == EKS_LIST_TAGS;
}

static const char *bad_name(enum eks_op op)
{
	return is_tag_op(op) ? "BadRequestException" : "InvalidParameterException";
}

/* ---- escapes ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Once. Control bytes, NUL among them, are in nothing that is meant well. -EINVAL. */
static int decode(const char *text, size_t len, bool plus_is_blank, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			if (i + 2 >= len || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
				return -EINVAL;
			c = hex(text[i + 1]) * 16 + hex(text[i + 2]);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if (c < ' ' || c == 0x7f || n + 1 >= size)
			return -EINVAL;
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return 0;
}

/* ---- the path ---- */

struct segment {
	const char *text;
	size_t len;
};

static size_t split(const char *path, size_t len, struct segment *ret)
{
	size_t n = 0, start = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		if (n == SEGMENTS_MAX)
			return SEGMENTS_MAX + 1;
		ret[n++] = (struct segment){path + start, i - start};
		start = i + 1;
	}
	return n;
}

static bool is_segment(const struct segment *s, const char *text)
{
	return s->len == strlen(text) && !memcmp(s->text, text, s->len);
}

static int no_such(const char *method, struct eks_error *error)
{
	return eks_error_set(error, 404, "ResourceNotFoundException",
			     "there is no operation for %.16s on this path; there are those of Pod "
			     "Identity associations, their tags, DescribeCluster, "
			     "DescribeClusterVersions and DescribeAddon",
			     method);
}

/* By method: what is done to all associations, and to one. */
static int find_op(const char *method, bool one, enum eks_op *ret)
{
	static const struct {
		const char *method;
		int all, one;
	} ops[] = {
		{"POST", EKS_CREATE, EKS_UPDATE},
		{"GET", EKS_LIST, EKS_DESCRIBE},
		{"DELETE", -1, EKS_DELETE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (!strcmp(ops[i].method, method) && (one ? ops[i].one : ops[i].all) >= 0) {
			*ret = (enum eks_op)(one ? ops[i].one : ops[i].all);
			return 0;
		}
	return -ENOENT;
}

/* a- and 17 of a-z, 0-9. */
static bool is_id(const char *id)
{
	return strlen(id) == EKS_ID_SIZE - 1 && !strncmp(id, "a-", 2) &&
	       strspn(id + 2, "abcdefghijklmnopqrstuvwxyz0123456789") == EKS_ID_SIZE - 3;
}

static int no_association(struct eks_error *error)
{
	return eks_error_set(error, 404, "ResourceNotFoundException",
			     "there is no association with this id");
}

/* What is asked for of a cluster itself. -ENOENT: it is about something else. */
static int find_of_cluster(const struct segment *s, size_t n, struct eks_request *ret)
{
	if (n == 2) {
		ret->op = EKS_DESCRIBE_CLUSTER;
		return 0;
	}
	if (n != 4 || !is_segment(&s[2], "addons") || !s[3].len ||
	    decode(s[3].text, s[3].len, false, ret->addon, sizeof(ret->addon)) < 0)
		return -ENOENT;
	ret->op = EKS_DESCRIBE_ADDON;
	return 0;
}

static int parse_clusters(const char *method, const struct segment *s, size_t n,
			  struct eks_request *ret, struct eks_error *error)
{
	char id[64];

	if (n < 2 || !s[1].len ||
	    decode(s[1].text, s[1].len, false, ret->cluster, sizeof(ret->cluster)) < 0)
		return no_such(method, error);
	if (!strcmp(method, "GET") && find_of_cluster(s, n, ret) == 0)
		return 0;
	if (n < 3 || n > 4 || !is_segment(&s[2], "pod-identity-associations") ||
	    find_op(method, n == 4, &ret->op) < 0)
		return no_such(method, error);
	if (n == 3)
		return 0;
	if (decode(s[3].text, s[3].len, false, id, sizeof(id)) < 0 || !is_id(id))
		return no_association(error);
	memcpy(ret->id, id, sizeof(ret->id));
	return 0;
}

/* arn:...:podidentityassociation/CLUSTER/ID: only the end is looked at here, as the rest is known. */
static int parse_arn(struct eks_request *ret, struct eks_error *error)
{
	const char *resource = strstr(ret->arn, ":podidentityassociation/");
	const char *cluster = resource ? strchr(resource, '/') + 1 : NULL;
	const char *slash = cluster ? strchr(cluster, '/') : NULL;

	if (strncmp(ret->arn, "arn:", 4) != 0 || !slash || slash == cluster ||
	    (size_t)(slash - cluster) >= sizeof(ret->cluster))
		return eks_error_set(error, 400, "BadRequestException",
				     "not the ARN of a Pod Identity association; write "
				     "arn:PARTITION:eks:REGION:ACCOUNT:podidentityassociation/"
				     "CLUSTER/ID");
	if (!is_id(slash + 1))
		return eks_error_set(error, 404, "NotFoundException",
				     "there is no association with this ARN");
	memcpy(ret->cluster, cluster, (size_t)(slash - cluster));
	memcpy(ret->id, slash + 1, sizeof(ret->id));
	return 0;
}

/* Whether its slashes and colons came as escapes or not: an API server in between decodes them. */
static int parse_tags(const char *method, const char *path, size_t len, struct eks_request *ret,
		      struct eks_error *error)
{
	static const struct {
		const char *method;
		enum eks_op op;
	} ops[] = {{"POST", EKS_TAG}, {"DELETE", EKS_UNTAG}, {"GET", EKS_LIST_TAGS}};
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(ops) && !found; i++) {
		found = !strcmp(ops[i].method, method);
		ret->op = ops[i].op;
	}
	if (!found)
		return no_such(method, error);
	if (decode(path, len, false, ret->arn, sizeof(ret->arn)) < 0)
		return eks_error_set(error, 400, "BadRequestException",
				     "the ARN in the path is too long, or has a broken escape");
	return parse_arn(ret, error);
}

static int parse_path(const char *method, const char *path, size_t len, struct eks_request *ret,
		      struct eks_error *error)
{
	static const char tags[] = "tags/";
	struct segment segments[SEGMENTS_MAX];
	size_t n;

	if (len > strlen(tags) && !memcmp(path, tags, strlen(tags)))
		return parse_tags(method, path + strlen(tags), len - strlen(tags), ret, error);
	n = split(path, len, segments);
	if (n <= SEGMENTS_MAX && is_segment(&segments[0], "clusters"))
		return parse_clusters(method, segments, n, ret, error);
	if (n == 1 && is_segment(&segments[0], "cluster-versions") && !strcmp(method, "GET")) {
		ret->op = EKS_DESCRIBE_VERSIONS;
		return 0;
	}
	return no_such(method, error);
}

/* ---- the query ---- */

static int take_text(const char *value, char *ret, size_t size)
{
	if (strlen(value) >= size)
		return -EINVAL;
	strcpy(ret, value);
	return 0;
}

static int take_tag_key(struct eks_request *r, const char *value)
{
	if (r->n_tag_keys == EKS_TAGS_MAX || !value[0])
		return -EINVAL;
	if (!r->tag_keys)
		r->tag_keys = calloc(EKS_TAGS_MAX, sizeof(*r->tag_keys));
	if (!r->tag_keys)
		return -ENOMEM;
	return take_text(value, r->tag_keys[r->n_tag_keys++], EKS_TAG_KEY_SIZE);
}

static int take_max_results(struct eks_request *r, const char *value)
{
	uint64_t n;

	if (parse_u64(value, EKS_LIST_MAX, &n) < 0 || n == 0)
		return -EINVAL;
	r->max_results = n;
	return 0;
}

/* -ENOENT: the operation has no such parameter. */
static int take_parameter(struct eks_request *r, const char *key, const char *value)
{
	if (r->op == EKS_UNTAG && !strcmp(key, "tagKeys"))
		return take_tag_key(r, value);
	if (r->op != EKS_LIST)
		return -ENOENT;
	if (!strcmp(key, "namespace"))
		return take_text(value, r->name_space, sizeof(r->name_space));
	if (!strcmp(key, "serviceAccount"))
		return take_text(value, r->service_account, sizeof(r->service_account));
	if (!strcmp(key, "nextToken"))
		return take_text(value, r->cursor, sizeof(r->cursor));
	return strcmp(key, "maxResults") ? -ENOENT : take_max_results(r, value);
}

static int parse_parameter(const char *text, size_t len, struct eks_request *ret,
			   struct eks_error *error)
{
	const char *equals = memchr(text, '=', len);
	size_t key_len = equals ? (size_t)(equals - text) : len;
	char key[64], value[EKS_CURSOR_SIZE];
	int r = -EINVAL;

	if (decode(text, key_len, true, key, sizeof(key)) < 0)
		return eks_error_set(
			error, 400, bad_name(ret->op),
			"a parameter of the query is too long, or has a broken escape");
	if (!equals)
		value[0] = '\0';
	if (!equals || decode(equals + 1, len - key_len - 1, true, value, sizeof(value)) == 0)
		r = take_parameter(ret, key, value);
	if (r == -ENOENT)
		return eks_error_set(error, 400, bad_name(ret->op),
				     "%s has no parameter '%s'; podcred refuses what it does not "
				     "know, as it may narrow something",
				     eks_op_name(ret->op), key);
	if (r == -EINVAL)
		return eks_error_set(error, 400, bad_name(ret->op),
				     "the parameter '%s' has a value that it cannot have", key);
	return r;
}

static int parse_query(const char *query, struct eks_request *ret, struct eks_error *error)
{
	int r = 0;

	while (query && r == 0) {
		size_t len = strcspn(query, "&");

		if (len)
			r = parse_parameter(query, len, ret, error);
		query = query[len] ? query + len + 1 : NULL;
	}
	if (r == 0 && ret->op == EKS_UNTAG && !ret->n_tag_keys)
		r = eks_error_set(error, 400, "BadRequestException",
				  "tagKeys is missing; name at least one key");
	return r;
}

/* ---- the body ---- */

enum member_type {
	MEMBER_TEXT,
	MEMBER_BOOL,
	MEMBER_TAGS,
};

static const struct member {
	const char *name;
	enum member_type type;
	unsigned in, required; /* operations */
} members[] = {
	{"namespace", MEMBER_TEXT, ON(EKS_CREATE), ON(EKS_CREATE)},
	{"serviceAccount", MEMBER_TEXT, ON(EKS_CREATE), ON(EKS_CREATE)},
	{"roleArn", MEMBER_TEXT, ON(EKS_CREATE) | ON(EKS_UPDATE), ON(EKS_CREATE)},
	{"clientRequestToken", MEMBER_TEXT, ON(EKS_CREATE) | ON(EKS_UPDATE), 0},
	{"tags", MEMBER_TAGS, ON(EKS_CREATE) | ON(EKS_TAG), ON(EKS_TAG)},
	{"disableSessionTags", MEMBER_BOOL, ON(EKS_CREATE) | ON(EKS_UPDATE), 0},
	{"targetRoleArn", MEMBER_TEXT, ON(EKS_CREATE) | ON(EKS_UPDATE), 0},
	{"policy", MEMBER_TEXT, ON(EKS_CREATE) | ON(EKS_UPDATE), 0},
};

static const struct member *find_member(enum eks_op op, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if ((members[i].in & ON(op)) && !strcmp(members[i].name, name))
			return &members[i];
	return NULL;
}

static bool is_text(const json_t *value)
{
	return json_is_string(value) &&
	       strlen(json_string_value(value)) == json_string_length(value);
}

static const char *wrong_tag(const char *key, const json_t *value)
{
	if (!key[0] || strlen(key) >= EKS_TAG_KEY_SIZE)
		return "the key of a tag has 1 to 128 characters";
	if (!strncasecmp(key, "aws:", 4))
		return "keys that begin with aws: are AWS's own";
	if (!is_text(value) || json_string_length(value) > EKS_TAG_VALUE_MAX)
		return "the value of a tag is a text of up to 256 characters";
	return NULL;
}

static const char *wrong_tags(const json_t *tags)
{
	const char *key, *wrong;
	json_t *value;

	if (!json_is_object(tags) || json_object_size(tags) > EKS_TAGS_MAX)
		return "tags are an object with up to 50 members";
	json_object_foreach ((json_t *)tags, key, value) {
		wrong = wrong_tag(key, value);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *wrong_value(enum member_type type, const json_t *value)
{
	switch (type) {
	case MEMBER_TEXT:
		return is_text(value) ? NULL : "it is a text";
	case MEMBER_BOOL:
		return json_is_boolean(value) ? NULL : "it is true or false";
	default:
		return wrong_tags(value);
	}
}

static int check_members(struct eks_request *r, struct eks_error *error)
{
	const char *name, *wrong;
	json_t *value;
	void *next;

	json_object_foreach_safe(r->body, next, name, value)
	{
		const struct member *member = find_member(r->op, name);

		if (!member)
			return eks_error_set(error, 400, bad_name(r->op),
					     "%s has no member '%.100s'; podcred refuses what it "
					     "does not know, as it may narrow something",
					     eks_op_name(r->op), name);
		if (json_is_null(value)) { /* as SDKs mean it: absent */
			json_object_del(r->body, name);
			continue;
		}
		wrong = wrong_value(member->type, value);
		if (wrong)
			return eks_error_set(error, 400, bad_name(r->op), "%s: %s", name, wrong);
	}
	return 0;
}

static int check_required(const struct eks_request *r, struct eks_error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const json_t *value = json_object_get(r->body, members[i].name);
		bool empty = !value || (json_is_string(value) && !json_string_length(value));

		if ((members[i].required & ON(r->op)) && empty)
			return eks_error_set(error, 400, bad_name(r->op), "%s is missing",
					     members[i].name);
	}
	return 0;
}

static int parse_body(const char *body, size_t len, struct eks_request *ret,
		      struct eks_error *error)
{
	json_error_t why;

	if (ret->op != EKS_CREATE && ret->op != EKS_UPDATE && ret->op != EKS_TAG)
		return 0;
	ret->body = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	if (!json_is_object(ret->body))
		return eks_error_set(error, 400, bad_name(ret->op),
				     "the body is no JSON object, or has a member twice");
	return check_members(ret, error) ?: check_required(ret, error);
}

/* ---- all of it ---- */

const char *eks_request_text(const struct eks_request *request, const char *member)
{
	return json_string_value(json_object_get(request->body, member));
}

void eks_request_done(struct eks_request *request)
{
	json_decref(request->body);
	free(request->tag_keys);
	memset(request, 0, sizeof(*request));
}

int eks_request_parse(const char *method, const char *target, const char *body, size_t body_len,
		      struct eks_request *ret, struct eks_error *error)
{
	const char *path = target, *query;
	size_t len;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->max_results = EKS_LIST_MAX;
	if (!strncmp(path, EKS_PREFIX "/", strlen(EKS_PREFIX) + 1))
		path += strlen(EKS_PREFIX);
	if (*path != '/')
		return no_such(method, error);
	path++;
	len = strcspn(path, "?");
	query = path[len] ? path + len + 1 : NULL;
	r = parse_path(method, path, len, ret, error);
	r = r ?: parse_query(query, ret, error);
	return r ?: parse_body(body, body_len, ret, error);
}
