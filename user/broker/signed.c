// SPDX-License-Identifier: Apache-2.0
#include "broker/signed.h"

#include <errno.h>
#include <string.h>

#include "aws/sealed_keys.h"
#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "http/desk.h"

#define SERVICE	    "eks-auth"
#define PURPOSE	    "broker eks-auth"
#define MAX_HEADERS 32
#define FIELDS	    6

static struct aws_sealed_scope scope_of(const struct broker_sealing *sealing)
{
	return (struct aws_sealed_scope){PURPOSE, sealing->config->cluster_name};
}

/* The fields one after the other, each with its NUL. -EINVAL. */
static int pack(const struct broker_token *token, char *ret, size_t size)
{
	const char *const fields[FIELDS] = {token->name_space, token->service_account,
					    token->pod_name,   token->pod_uid,
					    token->node_name,  token->node_uid};
	size_t len = 0;

	for (size_t i = 0; i < FIELDS; i++) {
		size_t n = strlen(fields[i]) + 1;

		if (n > size - len)
			return -EINVAL;
		memcpy(ret + len, fields[i], n);
		len += n;
	}
	return (int)len;
}

static int unpack(const char *text, size_t len, struct broker_signer *ret)
{
	const char *fields[FIELDS], *at = ret->text, *end = ret->text + len;

	if (len > sizeof(ret->text) || !len || text[len - 1])
		return -EINVAL;
	memcpy(ret->text, text, len);
	for (size_t i = 0; i < FIELDS; i++) {
		if (at == end)
			return -EINVAL;
		fields[i] = at;
		at += strlen(at) + 1;
	}
	ret->token = (struct broker_token){fields[0], fields[1], fields[2],
					   fields[3], fields[4], fields[5]};
	return at == end ? 0 : -EINVAL;
}

int broker_signed_issue(const struct broker_sealing *sealing, const struct broker_token *token,
			time_t expires, struct aws_sealed_keys *ret)
{
	const struct aws_sealed_scope scope = scope_of(sealing);
	char text[sizeof(((struct broker_signer *)NULL)->text)];
	int len = pack(token, text, sizeof(text));

	return len < 0 ? len
		       : aws_sealed_issue(sealing->keys, &scope, text, (size_t)len, expires, ret);
}

bool broker_signed_is(const char *authorization)
{
	return !strncmp(authorization, "AWS4-", 5);
}

static enum broker_reason reason_of(int error)
{
	switch (error) {
	case 0:
		return BROKER_GRANTED;
	case -ETIME:
		return BROKER_CLOCK;
	case -ENOMEM:
	case -EIO:
		return BROKER_BROKEN;
	default:
		return BROKER_BAD_SIGNATURE;
	}
}

static int verify(const struct broker_sealing *sealing, const struct http_ask *ask,
		  const struct aws_claim *claim, const char *secret, time_t now)
{
	const char *region = sealing->config->region;
	struct aws_header headers[MAX_HEADERS];
	const struct aws_request request = {
		.method = ask->method,
		.target = ask->target,
		.headers = headers,
		.n_headers = ask->n_fields,
		.body = ask->body,
		.body_len = ask->body_len,
	};
	const struct aws_scope scope = {*region ? region : claim->region, SERVICE};

	if (ask->n_fields > MAX_HEADERS)
		return -EINVAL;
	for (size_t i = 0; i < ask->n_fields; i++)
		headers[i] = (struct aws_header){ask->fields[i].name, ask->fields[i].value};
	return aws_verify(&request, claim, secret, &scope, now);
}

enum broker_reason broker_signed_verify(const struct broker_sealing *sealing,
					const struct http_ask *ask, const char *authorization,
					time_t now, struct broker_signer *ret)
{
	const struct aws_sealed_scope scope = scope_of(sealing);
	struct aws_sealed_identity sealed = {};
	enum broker_reason reason;
	struct aws_claim claim;
	size_t count;
	const char *token = http_ask_get(ask, "X-Amz-Security-Token", &count);
	int r;

	if (!sealing->keys || count != 1 || aws_claim_parse(authorization, &claim) < 0)
		return BROKER_CALLER_REFUSED;
	r = aws_sealed_open(sealing->keys, &scope, claim.access_key_id, token, now, &sealed);
	if (r == -ETIME)
		reason = BROKER_KEYS_EXPIRED;
	else if (r < 0)
		reason = r == -EIO ? BROKER_BROKEN : BROKER_CALLER_REFUSED;
	else
		reason = reason_of(verify(sealing, ask, &claim, sealed.secret_access_key, now));
	if (reason == BROKER_GRANTED && unpack(sealed.identity, sealed.len, ret) < 0)
		reason = BROKER_CALLER_REFUSED;
	explicit_bzero(&sealed, sizeof(sealed));
	return reason;
}
