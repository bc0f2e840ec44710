// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent http credentials aws upstream yaml crypto base */
/* LIBS: -lexpat -ljansson -lyaml -lpcre2-8 -lcrypto */
/*
 * Requests to STS: a line for the target, one for the Authorization header, and the rest for the body. A second reader
 * of forms, which was written for this test alone, has to find the same pairs; credentials leave only for the role of
 * the association, and what is answered is XML, whatever it quotes.
 */
#include "fuzz.h"

#include <errno.h>
#include <expat.h>

#include "agent/service.h"
#include "base/addr.h"
#include "http/form.h"

#define NOW	1767323045
#define ARN	"arn:aws:iam::111122223333:role/web-role"
#define SECRET	"se/cret"
#define ELEMENT "<SecretAccessKey>" SECRET /* no quoted text has such a bracket */
#define PAIRS	32

static struct agent_env env;
static struct podcred_peer web = {
	.flags = PODCRED_PEER_NAMED,
	.pod_cgroup_id = 1,
	.pod_uid = "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11",
	.pod_namespace = "shop",
	.pod_name = "web-0",
	.service_account = "web",
};

static void set_up(void)
{
	static const char text[] =
		"associations:\n"
		"- {namespace: shop, serviceAccount: web, role: web-role, accountId: "
		"'111122223333', static: {accessKeyId: AKIAEXAMPLE, secretAccessKey: " SECRET
		", sessionToken: 't<&o'}}\n";
	struct net_addr addr;

	if (cred_table_parse("t", text, sizeof(text) - 1, (struct cred_table **)&env.table, NULL) <
		    0 ||
	    net_addr_parse("169.254.170.83:80", &addr) < 0)
		abort();
	memcpy(web.address, addr.ip, sizeof(web.address));
	web.port = addr.port;
}

/* ---- forms, once more: from the back, with copies ---- */

struct form {
	char *name[PAIRS], *value[PAIRS];
	size_t n;
};

static int hex(int c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	if (c >= '0' && c <= '9')
		return c - '0';
	return at && at - digits >= 10 ? (int)(at - digits) : -1;
}

/* NULL: malformed. */
static char *decoded(const char *text, size_t len)
{
	char *out = calloc(1, len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = text[i] == '+' ? ' ' : (unsigned char)text[i];

		if (c == '%' && i + 2 < len + 0 && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
			c = hex(text[i + 1]) * 16 + hex(text[i + 2]);
			i += 2;
		} else if (c == '%') {
			c = 0;
		}
		if (!c) {
			free(out);
			return NULL;
		}
		out[n++] = (char)c;
	}
	return out;
}

static void free_form(struct form *form)
{
	for (size_t i = 0; i < form->n; i++) {
		free(form->name[i]);
		free(form->value[i]);
	}
	form->n = 0;
}

/* False: it is none. */
static bool read_form(const char *text, size_t len, struct form *ret)
{
	size_t at = 0;

	while (at < len) {
		size_t end = at, equals;

		while (end < len && text[end] != '&')
			end++;
		for (equals = at; equals < end && text[equals] != '=';)
			equals++;
		if (end > at) {
			char *name = NULL, *value = NULL;

			if (equals > at && equals < end && ret->n < PAIRS) {
				name = decoded(text + at, equals - at);
				value = decoded(text + equals + 1, end - equals - 1);
			}
			if (!name || !value) {
				free(name);
				free(value);
				return false;
			}
			ret->name[ret->n] = name;
			ret->value[ret->n++] = value;
		}
		at = end + 1;
	}
	return true;
}

static const char *value_of(const struct form *form, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < form->n; i++) {
		if (strcmp(form->name[i], name) != 0)
			continue;
		if (value)
			return NULL;
		value = form->value[i];
	}
	return value;
}

static bool is(const struct form *form, const char *name, const char *value)
{
	const char *has = value_of(form, name);

	return has && !strcmp(has, value);
}

static void check_form(const char *text, size_t len, bool good, const struct form *model)
{
	char *copy = malloc(len + 1);
	struct http_form_pair pairs[PAIRS];
	int n;

	if (!copy)
		abort();
	memcpy(copy, text, len);
	n = http_form_parse(copy, len, pairs, PAIRS);
	MUST((n >= 0) == good);
	MUST(n >= 0 || n == -EINVAL || n == -E2BIG);
	if (good)
		MUST((size_t)n == model->n);
	for (int i = 0; i < n; i++)
		MUST(!strcmp(pairs[i].name, model->name[i]) &&
		     !strcmp(pairs[i].value, model->value[i]));
	free(copy);
}

/* ---- who may have what, once more ---- */

static bool may(const struct form *form)
{
	size_t known = 4;

	if (!is(form, "Action", "AssumeRoleWithWebIdentity") ||
	    !is(form, "Version", "2011-06-15") || !is(form, "RoleArn", ARN) ||
	    !value_of(form, "RoleSessionName"))
		return false;
	known += value_of(form, "DurationSeconds") != NULL;
	if (!value_of(form, "WebIdentityToken") || !*value_of(form, "WebIdentityToken"))
		return false;
	return form->n == known + 1;
}

static void check_xml(const struct text *body)
{
	XML_Parser parser = XML_ParserCreate(NULL);

	MUST(parser && XML_Parse(parser, body->data, (int)body->len, 1) == XML_STATUS_OK);
	XML_ParserFree(parser);
}

static void check_answer(const struct agent_answer *answer, bool allowed)
{
	const struct text *body = &answer->http.body;
	bool leaks = memmem(body->data, body->len, ELEMENT, strlen(ELEMENT));

	MUST(!strcmp(answer->http.content_type, "text/xml"));
	check_xml(body);
	MUST(leaks == (answer->audit == AUDIT_GRANTED));
	MUST(!leaks || allowed);
	MUST((answer->http.status == 200) == leaks);
	MUST(!answer->reason || answer->audit == AUDIT_REFUSED);
}

static void ask(const char *target, const char *authorization, const char *body, size_t len)
{
	const char *query = strchr(target, '?'), *text = len ? body : query ? query + 1 : "";
	size_t text_len = len ? len : strlen(text);
	const struct agent_request req = {
		.head = {.method = len ? "POST" : "GET",
			 .target = target,
			 .authorization = *authorization,
			 .authorization_text = *authorization ? authorization : NULL,
			 .authorization_len = strlen(authorization)},
		.body = len ? body : NULL,
		.body_len = len,
		.peer = &web,
		.now = NOW,
	};
	struct agent_answer answer = {};
	struct form form = {};
	bool good = read_form(text, text_len, &form);

	check_form(text, text_len, good, &form);
	MUST(agent_dispatch(&env, &req, &answer) == 0);
	check_answer(&answer, good && may(&form) && (!len || !query || !query[1]));
	agent_answer_done(&answer);
	free_form(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char *target = fuzz_line(&in), *authorization = fuzz_line(&in);
	char *body = fuzz_copy(in.data, in.size);

	if (!env.table)
		set_up();
	ask(target, authorization, body, in.size);
	free(body);
	free(authorization);
	free(target);
	return 0;
}
