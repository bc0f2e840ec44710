// SPDX-License-Identifier: Apache-2.0
/* MODULES: aws base */
/* LIBS: -lexpat -ljansson -lm */
/*
 * Answers of AWS, XML or JSON, and what is made of their errors. A session has all that it must
 * have, in bytes that may stand in a header; JSON that jansson does not take is refused; blanks in
 * front change nothing.
 */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

#include "aws/answer.h"

static void check_plain(const char *text)
{
	MUST(text && *text);
	for (; *text; text++)
		MUST(*text > ' ' && *text <= '~' && *text != '"' && *text != '\\');
}

static void check_session(struct aws_answer *answer)
{
	struct aws_session session = {.packed_policy_size = 4711};
	int r = aws_answer_session(answer, &session);

	MUST(r == 0 || r == -EBADMSG);
	if (r < 0) {
		MUST(session.packed_policy_size == 4711 && !session.session_token);
		return;
	}
	check_plain(session.access_key_id);
	check_plain(session.secret_access_key);
	check_plain(session.session_token);
	MUST(session.expiration >= -62135596800 && session.expiration <= 253402300799);
	MUST(session.packed_policy_size >= -1 && session.packed_policy_size <= 100000);
	aws_session_done(&session);
}

/* One line, bounded, without the secret, and without anything that it did not have. */
static void check_message(const char *message, const char *secret)
{
	const char *const secrets[] = {secret, NULL};
	char shown[AWS_DETAIL_SIZE], again[AWS_DETAIL_SIZE];

	aws_clean(message, secrets, shown);
	MUST(strlen(shown) < AWS_DETAIL_SIZE);
	for (const char *c = shown; *c; c++)
		MUST(*c >= ' ' && *c <= '~');
	MUST(strlen(secret) < 8 || !strstr(shown, secret));
	aws_clean(shown, NULL, again);
	MUST(strlen(again) <= strlen(shown));
}

static bool is_object(const char *text, size_t size)
{
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	bool is = json_is_object(json);

	json_decref(json);
	return is;
}

static void check_blanks(const uint8_t *data, size_t size, int r)
{
	struct aws_answer answer = {};
	char *blanks = malloc(size + 3);

	MUST(blanks);
	memcpy(blanks, " \r\n", 3);
	if (size)
		memcpy(blanks + 3, data, size);
	MUST(aws_answer_read(blanks, size + 3, &answer) == r);
	aws_answer_done(&answer);
	free(blanks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char secret[] = "wJalrXUtnFEMI/K7";
	struct aws_answer answer = {};
	char *copy = fuzz_copy(data, size), *text = fuzz_string(data, size);
	int r;

	aws_answer_prepare();
	r = aws_answer_read(copy, size, &answer);
	MUST(r == 0 || r == -EBADMSG);
	if (size && copy[0] == '{' && !is_object(copy, size))
		MUST(r == -EBADMSG);
	check_blanks(data, size, r);
	check_message(text, secret);
	if (r == 0) {
		check_message(answer.fields[AWS_ERROR_MESSAGE] ?: "", secret);
		aws_classify(400 + size % 200, answer.fields[AWS_ERROR_CODE] ?: "",
			     answer.fields[AWS_ERROR_MESSAGE] ?: "", size % 4);
		check_session(&answer);
	}
	aws_answer_done(&answer);
	free(text);
	free(copy);
	return 0;
}
