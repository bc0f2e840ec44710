// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent crypto base */
/* LIBS: -lcrypto -ljansson */
/* Session tokens, time stamps, and strings in the bodies of answers. */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

#include "agent/token.h"
#include "base/text.h"
#include "base/timestamp.h"

#define POD "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"

static const uint8_t key[AGENT_TOKEN_KEY_SIZE] = {1, 2, 3, 4};

/* Accepted is what the agent would have made itself for that pod and end, and nothing else. */
static void check_token(const char *token, const char *pod)
{
	time_t left = 4711, now = 1767323045;
	char again[TOKEN_SIZE];
	int r = agent_token_check(key, pod, token, now, &left);

	MUST(r == 0 || ((r == -EBADMSG || r == -EKEYEXPIRED) && left == 4711));
	if (r != 0)
		return;
	MUST(left > 0 && agent_token_make(key, pod, now + left, again) == 0);
	MUST(!strcmp(token, again));
}

/* A valid token, damaged as the input says: places and what to put there. */
static void check_damaged(struct fuzz_input in)
{
	char token[TOKEN_SIZE], whole[TOKEN_SIZE];
	time_t left = 0, now = 1767323045;
	uint32_t ttl;
	int r;

	fuzz_bytes(&in, &ttl, sizeof(ttl));
	MUST(agent_token_make(key, POD, now + (time_t)(ttl % TOKEN_TTL_MAX), whole) == 0);
	memcpy(token, whole, sizeof(token));
	while (in.size) {
		uint8_t at = fuzz_byte(&in);

		token[at % (TOKEN_SIZE - 1)] = (char)fuzz_byte(&in);
	}
	r = agent_token_check(key, POD, token, now, &left);
	if (strcmp(token, whole) != 0)
		MUST(r == -EBADMSG);
	else if (ttl % TOKEN_TTL_MAX)
		MUST(r == 0 && left == (time_t)(ttl % TOKEN_TTL_MAX));
	else
		MUST(r == -EKEYEXPIRED);
	check_token(token, "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c12");
}

static void check_timestamp(const char *text, struct fuzz_input in)
{
	char printed[TIMESTAMP_SIZE] = "untouched";
	time_t when = 4711, again;
	int64_t any;

	if (timestamp_parse(text, &when) == 0)
		MUST(timestamp_format(when, printed) == 0 && !strcmp(printed, text));
	else
		MUST(when == 4711);
	fuzz_bytes(&in, &any, sizeof(any));
	memcpy(printed, "untouched", 10);
	if (timestamp_format((time_t)any, printed) == 0)
		MUST(strlen(printed) == TIMESTAMP_SIZE - 1 &&
		     timestamp_parse(printed, &again) == 0 && again == (time_t)any);
	else
		MUST(!strcmp(printed, "untouched"));
}

/* What a JSON reader makes of a body is what was put in; control bytes never leave as they are. */
static void check_text(const char *name, const char *value)
{
	struct text t = {};
	json_t *want = json_string(value), *body;

	text_add(&t, "{");
	text_add_member(&t, "a", name);
	text_add_member(&t, "b", value);
	text_add(&t, "}");
	if (text_error(&t) == 0) {
		for (size_t i = 0; i < t.len; i++)
			MUST((unsigned char)t.data[i] >= ' ');
		body = json_loadb(t.data, t.len, JSON_REJECT_DUPLICATES, NULL);
		if (want && json_string_value(want) && body)
			MUST(json_equal(json_object_get(body, "b"), want));
		MUST(body || !want || strlen(name));
		json_decref(body);
	} else {
		MUST(text_error(&t) == -E2BIG && t.len <= TEXT_MAX);
		MUST(strlen(name) + strlen(value) > TEXT_MAX / 7);
	}
	json_decref(want);
	text_done(&t);
	MUST(!t.data && !t.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char *first = fuzz_line(&in), *second = fuzz_line(&in);

	check_token(first, POD);
	check_token(first, second);
	check_damaged((struct fuzz_input){data, size});
	check_timestamp(first, (struct fuzz_input){data, size});
	check_text(first, second);
	free(second);
	free(first);
	return 0;
}
