// SPDX-License-Identifier: Apache-2.0
#include "control/eks_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/arn.h"
#include "base/cleanup.h"
#include "base/timestamp.h"

#define BODY_MAX (1024 * 1024)
#define RESOURCE "cluster/"

static int copy_piece(const struct aws_piece *piece, char *ret, size_t size)
{
	if (!piece->len || piece->len >= size)
		return -EINVAL;
	memcpy(ret, piece->text, piece->len);
	ret[piece->len] = '\0';
	return 0;
}

int eks_cluster_parse(const char *name, const char *arn, struct eks_cluster *ret)
{
	struct aws_arn parsed;
	int r = aws_arn_parse(arn, &parsed);

	ret->name = name;
	ret->arn = arn;
	if (r < 0 || parsed.service.len != 3 || memcmp(parsed.service.text, "eks", 3) != 0 ||
	    strncmp(parsed.resource.text, RESOURCE, strlen(RESOURCE)) != 0 ||
	    strcmp(parsed.resource.text + strlen(RESOURCE), name) != 0)
		return -EINVAL;
	r = copy_piece(&parsed.partition, ret->partition, sizeof(ret->partition));
	r = r ?: copy_piece(&parsed.region, ret->region, sizeof(ret->region));
	return r ?: copy_piece(&parsed.account, ret->account, sizeof(ret->account));
}

void eks_association_arn(const struct eks_cluster *c, const char *id, char ret[EKS_ARN_SIZE])
{
	snprintf(ret, EKS_ARN_SIZE, "arn:%s:eks:%s:%s:podidentityassociation/%s/%s", c->partition,
		 c->region, c->account, c->name, id);
}

static const char *spec_text(const struct eks_object *o, const char *key)
{
	return json_string_value(json_object_get(json_object_get(o->object, "spec"), key));
}

void eks_external_id(const struct eks_cluster *c, const struct eks_object *o, char *ret,
		     size_t size)
{
	const char *given = spec_text(o, "externalId");

	ret[0] = '\0';
	if (given)
		snprintf(ret, size, "%s", given);
	else if (spec_text(o, "targetRoleArn"))
		snprintf(ret, size, "%s/%s/%s/%s/%s", c->region, c->account, c->name, o->name_space,
			 o->name);
}

/* ---- times ---- */

static json_t *metadata(const struct eks_object *o, const char *key)
{
	return json_object_get(json_object_get(o->object, "metadata"), key);
}

static time_t parse_time(const json_t *value, time_t otherwise)
{
	const char *text = json_string_value(value);
	time_t when;

	return text && timestamp_parse_any(text, &when) == 0 ? when : otherwise;
}

static void set_times(json_t *ret, const struct eks_object *o)
{
	time_t created = parse_time(metadata(o, "creationTimestamp"), 0);
	time_t modified = parse_time(
		json_object_get(metadata(o, "annotations"), EKS_MODIFIED_ANNOTATION), created);

	json_object_set_new(ret, "createdAt", json_real((double)created));
	json_object_set_new(ret, "modifiedAt", json_real((double)modified));
}

/* ---- associations ---- */

static void set_text(json_t *ret, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(ret, key, json_string(value));
}

json_t *eks_summary(const struct eks_cluster *c, const struct eks_object *o)
{
	char arn[EKS_ARN_SIZE];
	json_t *ret = json_object();

	eks_association_arn(c, o->id, arn);
	set_text(ret, "clusterName", c->name);
	set_text(ret, "namespace", o->name_space);
	set_text(ret, "serviceAccount", o->name);
	set_text(ret, "associationArn", arn);
	set_text(ret, "associationId", o->id);
	return ret;
}

json_t *eks_association(const struct eks_cluster *c, const struct eks_object *o)
{
	const json_t *spec = json_object_get(o->object, "spec");
	json_t *tags = json_object_get(spec, "tags");
	char external_id[2048];
	json_t *ret = eks_summary(c, o);

	eks_external_id(c, o, external_id, sizeof(external_id));
	set_text(ret, "roleArn", spec_text(o, "roleArn"));
	set_text(ret, "targetRoleArn", spec_text(o, "targetRoleArn"));
	set_text(ret, "externalId", external_id);
	set_text(ret, "policy", spec_text(o, "policy"));
	json_object_set_new(
		ret, "disableSessionTags",
		json_boolean(json_is_true(json_object_get(spec, "disableSessionTags"))));
	if (json_is_object(tags))
		json_object_set(ret, "tags", tags);
	else
		json_object_set_new(ret, "tags", json_object());
	set_times(ret, o);
	return ret;
}

/* ---- answers ---- */

static void send_json(struct http_response *resp, unsigned status, json_t *body)
{
	_cleanup_free_ char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(17));

	http_response_begin(resp, status, "application/json");
	resp->body.max = BODY_MAX;
	resp->close = false;
	text_add(&resp->body, text ?: "{\"message\":\"out of memory\"}");
	if (!text)
		resp->status = 500;
	json_decref(body);
}

void eks_answer(struct http_response *resp, json_t *body)
{
	send_json(resp, 200, body);
}

void eks_answer_error(struct http_response *resp, const struct eks_error *error,
		      const char *cluster)
{
	json_t *body = json_object();

	set_text(body, "__type", error->name);
	set_text(body, "message", error->message);
	set_text(body, "clusterName", cluster);
	send_json(resp, error->status, body);
	http_response_add_header(resp, "x-amzn-ErrorType", error->name);
}
