// SPDX-License-Identifier: Apache-2.0
#include "aws/answer.h"

#include <errno.h>
#include <expat.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/secret.h"
#include "base/secret_json.h"
#include "base/text.h"
#include "base/timestamp.h"

#define MAX_DEPTH    8
#define MAX_ELEMENTS 1000
#define MAX_NAME     64
#define MAX_TIME     253402300799 /* the end of the year 9999 */

/* In an object of that name (of no name: in the whole), a member of that name. */
static const struct row {
	const char *parent, *name;
	enum aws_field field;
} rows[] = {
	{"Credentials", "AccessKeyId", AWS_ACCESS_KEY_ID},
	{"Credentials", "SecretAccessKey", AWS_SECRET_ACCESS_KEY},
	{"Credentials", "SessionToken", AWS_SESSION_TOKEN},
	{"Credentials", "Expiration", AWS_EXPIRATION},
	{"AssumedRoleUser", "Arn", AWS_SESSION_ARN},
	{"AssumedRoleUser", "AssumedRoleId", AWS_ROLE_ID},
	{"AssumeRoleResult", "PackedPolicySize", AWS_PACKED_POLICY_SIZE},
	{"AssumeRoleWithWebIdentityResult", "PackedPolicySize", AWS_PACKED_POLICY_SIZE},
	{"AssumeRoleWithWebIdentityResult", "SubjectFromWebIdentityToken", AWS_SUBJECT},
	{"AssumeRoleWithWebIdentityResult", "Audience", AWS_AUDIENCE},
	{"GetCallerIdentityResult", "Account", AWS_CALLER_ACCOUNT},
	{"GetCallerIdentityResult", "Arn", AWS_CALLER_ARN},
	{"GetCallerIdentityResult", "UserId", AWS_CALLER_ID},
	{"Error", "Code", AWS_ERROR_CODE},
	{"Error", "Message", AWS_ERROR_MESSAGE},
	{"ErrorResponse", "RequestId", AWS_REQUEST_ID},
	{"ResponseMetadata", "RequestId", AWS_REQUEST_ID},
	/* EKS Auth */
	{"AssumedRoleUser", "AssumeRoleId", AWS_ROLE_ID},
	{"Subject", "Namespace", AWS_NAMESPACE},
	{"Subject", "ServiceAccount", AWS_SUBJECT},
	{"PodIdentityAssociation", "AssociationArn", AWS_ASSOCIATION_ARN},
	{"PodIdentityAssociation", "AssociationId", AWS_ASSOCIATION_ID},
	{"", "Audience", AWS_AUDIENCE},
	{"", "__type", AWS_ERROR_CODE},
	{"", "Message", AWS_ERROR_MESSAGE},
	/* the metadata service */
	{"", "AccessKeyId", AWS_ACCESS_KEY_ID},
	{"", "SecretAccessKey", AWS_SECRET_ACCESS_KEY},
	{"", "Token", AWS_SESSION_TOKEN},
	{"", "Expiration", AWS_EXPIRATION},
	{"", "Code", AWS_ERROR_CODE},
	{"", "RequestId", AWS_REQUEST_ID},
};

/* Texts for people, which some services write twice, in two spellings: the first one counts. */
static bool may_come_twice(const struct aws_answer *answer, char *const *field)
{
	return field >= &answer->fields[AWS_ERROR_CODE];
}

static char **field_of(struct aws_answer *answer, const char *parent, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcasecmp(rows[i].parent, parent) && !strcasecmp(rows[i].name, name))
			return &answer->fields[rows[i].field];
	return NULL;
}

void aws_answer_done(struct aws_answer *answer)
{
	for (size_t i = 0; i < AWS_N_FIELDS; i++)
		answer->fields[i] = secret_free(answer->fields[i]);
}

/* ---- the libraries' memory ---- */

void aws_answer_prepare(void)
{
	secret_json_wipe();
}

/* ---- XML ---- */

struct reader {
	XML_Parser parser;
	struct aws_answer *answer;
	char names[MAX_DEPTH][MAX_NAME]; /* of the elements that are open */
	unsigned depth, elements;
	bool leaf; /* nothing but text so far in the innermost one */
	struct text text; /* of it */
	int error;
};

static void give_up(struct reader *reader, int error)
{
	reader->error = error;
	XML_StopParser(reader->parser, XML_FALSE);
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct reader *reader = arg;

	(void)attributes;
	if (reader->depth == MAX_DEPTH || ++reader->elements > MAX_ELEMENTS ||
	    strlen(name) >= MAX_NAME) {
		give_up(reader, -EBADMSG);
		return;
	}
	strcpy(reader->names[reader->depth++], name);
	text_done(&reader->text);
	reader->text.max = AWS_ANSWER_MAX;
	reader->leaf = true;
}

static void take_text(struct reader *reader, const char *parent, const char *name)
{
	char **field = field_of(reader->answer, parent, name);

	if (!field || (*field && may_come_twice(reader->answer, field)))
		return;
	if (*field) {
		give_up(reader, -EBADMSG);
		return;
	}
	*field = text_string(&reader->text);
	if (!*field)
		give_up(reader, text_error(&reader->text) == -E2BIG ? -EBADMSG : -ENOMEM);
}

static void on_end(void *arg, const char *name)
{
	struct reader *reader = arg;

	reader->depth--;
	if (reader->leaf && reader->depth)
		take_text(reader, reader->names[reader->depth - 1], name);
	text_done(&reader->text);
	reader->leaf = false;
}

static void on_text(void *arg, const char *text, int len)
{
	struct reader *reader = arg;

	text_add_bytes(&reader->text, text, (size_t)len);
}

/* Nothing of AWS's has one, and entities come with it. */
static void on_doctype(void *arg, const char *name, const char *system, const char *public,
		       int has_internal_subset)
{
	(void)name, (void)system, (void)public, (void)has_internal_subset;
	give_up(arg, -EBADMSG);
}

static int read_xml(const char *body, size_t len, struct aws_answer *answer)
{
	static const XML_Memory_Handling_Suite memory = {malloc, secret_wiping_realloc,
							 secret_wiping_free};
	struct reader reader = {.answer = answer};
	bool ok;

	reader.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
	if (!reader.parser)
		return -ENOMEM;
	XML_SetUserData(reader.parser, &reader);
	XML_SetElementHandler(reader.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader.parser, on_text);
	XML_SetStartDoctypeDeclHandler(reader.parser, on_doctype);
	ok = XML_Parse(reader.parser, body, (int)len, 1) == XML_STATUS_OK;
	if (!ok && !reader.error)
		reader.error =
			XML_GetErrorCode(reader.parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EBADMSG;
	XML_ParserFree(reader.parser);
	text_done(&reader.text);
	return reader.error;
}

/* ---- JSON ---- */

/* A text, or a number without its fraction. NULL: neither. */
static char *text_of(const json_t *value)
{
	char *text = NULL;
	double number;

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (!json_is_number(value))
		return NULL;
	number = json_number_value(value);
	if (number < 0 || number > MAX_TIME)
		return NULL;
	return asprintf(&text, "%.0f", floor(number)) < 0 ? NULL : text;
}

static int take_json(struct aws_answer *answer, const char *parent, const json_t *object,
		     unsigned depth);

/* As if each were there by itself: two with the same member are one too many. */
static int take_json_list(struct aws_answer *answer, const char *name, const json_t *list,
			  unsigned depth)
{
	const json_t *value;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, value)
		if (r == 0 && json_is_object(value))
			r = take_json(answer, name, value, depth);
	return r;
}

static int take_json(struct aws_answer *answer, const char *parent, const json_t *object,
		     unsigned depth)
{
	const char *name;
	json_t *value;
	int r = 0;

	if (depth == MAX_DEPTH)
		return -EBADMSG;
	json_object_foreach ((json_t *)object, name, value) {
		char **field = field_of(answer, parent, name);

		if (json_is_object(value))
			r = take_json(answer, name, value, depth + 1);
		else if (json_is_array(value))
			r = take_json_list(answer, name, value, depth + 1);
		else if (field && !*field)
			*field = text_of(value);
		else if (field && !may_come_twice(answer, field))
			r = -EBADMSG;
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_json(const char *body, size_t len, struct aws_answer *answer)
{
	json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	int r = json_is_object(root) ? take_json(answer, "", root, 0) : -EBADMSG;

	json_decref(root);
	return r;
}

int aws_answer_read(const char *body, size_t len, struct aws_answer *ret)
{
	_cleanup_(aws_answer_done) struct aws_answer answer = {};
	size_t at = 0;
	int r = -EBADMSG;

	while (at < len && body[at] && strchr(" \t\r\n", body[at]))
		at++;
	if (at < len && len <= AWS_ANSWER_MAX && body[at] == '<')
		r = read_xml(body + at, len - at, &answer);
	else if (at < len && len <= AWS_ANSWER_MAX && body[at] == '{')
		r = read_json(body + at, len - at, &answer);
	if (r < 0)
		return r;
	*ret = answer;
	answer = (struct aws_answer){};
	return 0;
}

/* ---- a session ---- */

/* What can stand in a header and in JSON as it is. */
static bool is_plain(const char *text)
{
	if (!text || !*text)
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\')
			return false;
	return true;
}

/* 2026-01-02T03:04:05Z, perhaps with a fraction; or seconds. */
static int parse_time(const char *text, time_t *ret)
{
	char start[TIMESTAMP_SIZE];
	uint64_t seconds;

	if (!text)
		return -EBADMSG;
	if (parse_u64(text, MAX_TIME, &seconds) == 0) {
		*ret = (time_t)seconds;
		return 0;
	}
	if (strnlen(text, TIMESTAMP_SIZE - 2) < TIMESTAMP_SIZE - 2)
		return -EBADMSG;
	snprintf(start, sizeof(start), "%.*sZ", TIMESTAMP_SIZE - 2, text);
	text += TIMESTAMP_SIZE - 2;
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	return strcmp(text, "Z") != 0 || timestamp_parse(start, ret) < 0 ? -EBADMSG : 0;
}

static char *take(struct aws_answer *answer, enum aws_field field)
{
	return TAKE_PTR(answer->fields[field]);
}

int aws_answer_session(struct aws_answer *answer, struct aws_session *ret)
{
	char **fields = answer->fields;
	uint64_t packed;
	time_t expiration;

	if (!is_plain(fields[AWS_ACCESS_KEY_ID]) || !is_plain(fields[AWS_SECRET_ACCESS_KEY]) ||
	    !is_plain(fields[AWS_SESSION_TOKEN]) ||
	    parse_time(fields[AWS_EXPIRATION], &expiration) < 0)
		return -EBADMSG;
	*ret = (struct aws_session){
		.access_key_id = take(answer, AWS_ACCESS_KEY_ID),
		.secret_access_key = take(answer, AWS_SECRET_ACCESS_KEY),
		.session_token = take(answer, AWS_SESSION_TOKEN),
		.expiration = expiration,
		.arn = take(answer, AWS_SESSION_ARN),
		.role_id = take(answer, AWS_ROLE_ID),
		.subject = take(answer, AWS_SUBJECT),
		.subject_namespace = take(answer, AWS_NAMESPACE),
		.audience = take(answer, AWS_AUDIENCE),
		.association_arn = take(answer, AWS_ASSOCIATION_ARN),
		.association_id = take(answer, AWS_ASSOCIATION_ID),
		.packed_policy_size = -1,
	};
	if (fields[AWS_PACKED_POLICY_SIZE] &&
	    parse_u64(fields[AWS_PACKED_POLICY_SIZE], 100000, &packed) == 0)
		ret->packed_policy_size = (int)packed;
	return 0;
}

void aws_session_done(struct aws_session *session)
{
	secret_free(session->access_key_id);
	secret_free(session->secret_access_key);
	secret_free(session->session_token);
	free(session->arn);
	free(session->role_id);
	free(session->subject);
	free(session->subject_namespace);
	free(session->audience);
	free(session->association_arn);
	free(session->association_id);
	*session = (struct aws_session){};
}
