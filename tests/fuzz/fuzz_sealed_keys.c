// SPDX-License-Identifier: Apache-2.0
/* MODULES: aws crypto base */
/* LIBS: -ljansson -lexpat -lcrypto */
/* Session tokens that nobody has sealed: none is opened. And files with master keys: what is read seals and opens. */
#include "fuzz.h"

#include "aws/sealed_keys.h"
#include "base/err.h"

static const char masters[] = "7 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
static const struct aws_sealed_scope scope = {"eks-auth", "demo"};

static void check_masters(const char *text, size_t len)
{
	struct aws_sealed_identity got;
	struct aws_sealed_keys keys;
	struct aws_sealing *sealing;
	struct pc_err err = {};

	if (aws_sealing_parse(text, len, &sealing, &err) < 0) {
		MUST(err.msg[0]);
		return;
	}
	MUST(aws_sealed_issue(sealing, &scope, "who", 3, 100, &keys) == 0);
	MUST(aws_sealed_open(sealing, &scope, keys.access_key_id, keys.session_token, 99, &got) ==
	     0);
	MUST(!strcmp(got.identity, "who"));
	aws_sealed_keys_done(&keys);
	aws_sealing_free(sealing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	struct aws_sealed_identity got;
	struct aws_sealing *sealing;
	struct pc_err err = {};

	check_masters((const char *)data, size);
	MUST(aws_sealing_parse(masters, sizeof(masters) - 1, &sealing, &err) == 0);
	MUST(aws_sealed_open(sealing, &scope, "PODCAAAAAAAAAAAAAAAA", text, 1, &got) < 0);
	MUST(aws_sealed_open(sealing, &scope, text, "BwAA", 1, &got) < 0);
	aws_sealing_free(sealing);
	free(text);
	return 0;
}
