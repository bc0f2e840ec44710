// SPDX-License-Identifier: Apache-2.0
#include "aws/arn.h"

#include <errno.h>
#include <string.h>

#include "aws/endpoint.h"

#define ACCOUNT_LEN	 12
#define ROLE_NAME_MAX	 64
#define ROLE_PATH_MAX	 512
#define SESSION_NAME_MIN 2
#define SESSION_NAME_MAX 64

#define DIGITS	"0123456789"
#define LOWER	"abcdefghijklmnopqrstuvwxyz"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER
#define NAME	LETTERS DIGITS "_+=,.@-"

static bool consists_of(struct aws_piece piece, const char *chars)
{
	for (size_t i = 0; i < piece.len; i++)
		if (!piece.text[i] || !strchr(chars, piece.text[i]))
			return false;
	return true;
}

bool aws_piece_is(struct aws_piece piece, const char *text)
{
	return piece.len == strlen(text) && !memcmp(piece.text, text, piece.len);
}

bool aws_is_role_name(const char *text, size_t len)
{
	return len && len <= ROLE_NAME_MAX && consists_of((struct aws_piece){text, len}, NAME);
}

bool aws_is_session_name(const char *text)
{
	size_t len = strnlen(text, SESSION_NAME_MAX + 1);

	return len >= SESSION_NAME_MIN && len <= SESSION_NAME_MAX &&
	       consists_of((struct aws_piece){text, len}, NAME);
}

/* Up to the separator, which is passed over. False: there is none. */
static bool take(const char **at, char separator, struct aws_piece *ret)
{
	const char *end = strchr(*at, separator);

	if (!end)
		return false;
	*ret = (struct aws_piece){*at, (size_t)(end - *at)};
	*at = end + 1;
	return true;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

int aws_arn_parse(const char *text, struct aws_arn *ret)
{
	struct aws_arn arn = {};
	struct aws_piece first;

	if (strnlen(text, AWS_ARN_MAX + 1) > AWS_ARN_MAX || !is_printable(text))
		return -EINVAL;
	if (!take(&text, ':', &first) || !aws_piece_is(first, "arn") ||
	    !take(&text, ':', &arn.partition) || !take(&text, ':', &arn.service) ||
	    !take(&text, ':', &arn.region) || !take(&text, ':', &arn.account))
		return -EINVAL;
	arn.resource = (struct aws_piece){text, strlen(text)};
	if (!arn.partition.len || !arn.service.len || !arn.resource.len)
		return -EINVAL;
	*ret = arn;
	return 0;
}

/* "role/" and the like is cut off the front of the resource. */
static int parse_of(const char *text, const char *service, const char *kind, struct aws_arn *ret)
{
	struct aws_piece *resource = &ret->resource;
	size_t len = strlen(kind);
	int r = aws_arn_parse(text, ret);

	if (r < 0)
		return r;
	if (!aws_piece_is(ret->service, service) || ret->region.len ||
	    ret->account.len != ACCOUNT_LEN || !consists_of(ret->account, DIGITS) ||
	    !aws_partition_named(ret->partition.text, ret->partition.len))
		return -EINVAL;
	if (resource->len <= len || memcmp(resource->text, kind, len) != 0)
		return -EINVAL;
	resource->text += len;
	resource->len -= len;
	return 0;
}

/* IAM: anything printable between slashes, of which two may be together. */
int aws_role_parse(const char *arn, struct aws_role *ret)
{
	struct aws_arn parsed;
	struct aws_piece path, name;
	const char *slash;
	int r = parse_of(arn, "iam", "role/", &parsed);

	if (r < 0)
		return r;
	/* with the slash behind "role", which is the path's first */
	path.text = parsed.resource.text - 1;
	slash = memrchr(path.text, '/', parsed.resource.len + 1);
	path.len = (size_t)(slash + 1 - path.text);
	name = (struct aws_piece){slash + 1, parsed.resource.len + 1 - path.len};
	if (path.len > ROLE_PATH_MAX || !aws_is_role_name(name.text, name.len))
		return -EINVAL;
	*ret = (struct aws_role){parsed.partition, parsed.account, path, name};
	return 0;
}

int aws_assumed_role_parse(const char *arn, struct aws_role *ret, struct aws_piece *ret_session)
{
	struct aws_arn parsed;
	struct aws_piece name, session;
	const char *at;
	int r = parse_of(arn, "sts", "assumed-role/", &parsed);

	if (r < 0)
		return r;
	at = parsed.resource.text;
	if (!take(&at, '/', &name) || !aws_is_role_name(name.text, name.len) ||
	    !aws_is_session_name(at))
		return -EINVAL;
	session = (struct aws_piece){at, strlen(at)};
	*ret = (struct aws_role){
		.partition = parsed.partition, .account = parsed.account, .name = name};
	*ret_session = session;
	return 0;
}
