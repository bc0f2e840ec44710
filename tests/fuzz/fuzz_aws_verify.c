// SPDX-License-Identifier: Apache-2.0
/* MODULES: aws crypto base */
/* LIBS: -lcrypto -ljansson */
/*
 * Signed requests. The input is a line for each part: method, target, Authorization, the body, then
 * headers. What the client signs the server accepts; a signature under another key, or for a
 * request that was changed in what is signed, it does not. Role names, ARNs and URLs are in it too.
 */
#include "fuzz.h"

#include <errno.h>

#include "aws/arn.h"
#include "aws/canonical.h"
#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "base/err.h"
#include "base/text.h"

#define NOW 1767323045
#define MAX 12

static const struct aws_keys keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", NULL};
static const struct aws_scope scope = {"eu-west-1", "eks"};

struct parts {
	char *method, *target, *authorization, *body, *lines[MAX];
	struct aws_header headers[MAX + 2];
	struct aws_request request;
};

static void take_headers(struct parts *parts, struct fuzz_input *in)
{
	size_t n = 0;

	for (; in->size && n < MAX; n++) {
		char *colon;

		parts->lines[n] = fuzz_line(in);
		colon = strchr(parts->lines[n], ':');
		if (colon)
			*colon++ = '\0';
		parts->headers[n] = (struct aws_header){parts->lines[n], colon ?: ""};
	}
	parts->request = (struct aws_request){
		.method = parts->method,
		.target = parts->target,
		.headers = parts->headers,
		.n_headers = n,
		.body = parts->body,
		.body_len = strlen(parts->body),
	};
}

static void parts_done(struct parts *parts)
{
	free(parts->method);
	free(parts->target);
	free(parts->authorization);
	free(parts->body);
	for (size_t i = 0; i < MAX; i++)
		free(parts->lines[i]);
}

/* As it came: nobody who fuzzes has the key. */
static void check_foreign(const struct parts *parts)
{
	struct aws_claim claim = {.date = "untouch"};
	int r = aws_claim_parse(parts->authorization, &claim);

	MUST(r == 0 || (r == -EINVAL && !strcmp(claim.date, "untouch")));
	if (r == 0)
		MUST(aws_verify(&parts->request, &claim, "a key that is not in the corpus", &scope,
				NOW) != 0);
}

static bool is_repeated(const struct aws_request *request)
{
	for (size_t i = 0; i < request->n_headers; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcasecmp(request->headers[i].name, request->headers[k].name))
				return true;
	return false;
}

static int verify(const struct aws_request *request, const char *authorization, const char *secret)
{
	struct aws_claim claim;

	MUST(aws_claim_parse(authorization, &claim) == 0);
	return aws_verify(request, &claim, secret, &scope, NOW);
}

static void check_own(struct parts *parts)
{
	struct aws_request *request = &parts->request;
	struct aws_signed s = {};
	int r = aws_sign(request, &keys, &scope, NOW, &s);

	MUST(r == 0 || r == -EINVAL || r == -E2BIG);
	if (r == 0 && !is_repeated(request) && strlen(s.authorization) < 1000) {
		parts->headers[request->n_headers++] = (struct aws_header){"X-Amz-Date", s.date};
		if (!is_repeated(request)) {
			MUST(verify(request, s.authorization, keys.secret_access_key) == 0);
			MUST(verify(request, s.authorization, "another") == -EKEYREJECTED);
			request->body_len++;
			MUST(verify(request, s.authorization, keys.secret_access_key) ==
			     -EKEYREJECTED);
			request->body_len--;
			request->method = "OTHER";
			MUST(!strcmp(parts->method, "OTHER") ||
			     verify(request, s.authorization, keys.secret_access_key) ==
				     -EKEYREJECTED);
		}
	}
	aws_signed_done(&s);
}

/* Accepted is what names the host that it seems to name. */
static void check_url(const char *url)
{
	struct aws_endpoint endpoint, again;
	struct pc_err err = {};
	int r = aws_endpoint_parse(url, &endpoint, &err);

	MUST(r == 0 || (r == -EINVAL && err.msg[0]));
	if (r < 0)
		return;
	MUST(!strpbrk(endpoint.url, "@?#% \r\n"));
	MUST(aws_endpoint_parse(endpoint.url, &again, &err) == 0);
	MUST(!strcmp(endpoint.url, again.url) && !strcmp(endpoint.host, again.host));
}

static void check_names(const char *text)
{
	struct aws_role role;
	struct aws_piece session;

	if (aws_role_parse(text, &role) == 0) {
		MUST(role.account.len == 12 && role.path.text[0] == '/');
		MUST(role.path.text + role.path.len == role.name.text);
		MUST(role.name.text + role.name.len == text + strlen(text));
		MUST(aws_assumed_role_parse(text, &role, &session) == -EINVAL);
	}
	if (aws_assumed_role_parse(text, &role, &session) == 0)
		MUST(role.name.len && session.text + session.len == text + strlen(text));
	if (aws_is_region(text))
		MUST(aws_partition_of(text)->suffix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct parts parts = {};

	parts.method = fuzz_line(&in);
	parts.target = fuzz_line(&in);
	parts.authorization = fuzz_line(&in);
	parts.body = fuzz_line(&in);
	take_headers(&parts, &in);
	check_foreign(&parts);
	check_own(&parts);
	check_url(parts.target);
	check_names(parts.target);
	parts_done(&parts);
	return 0;
}
