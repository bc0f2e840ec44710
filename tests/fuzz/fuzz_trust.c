// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* A trust policy that is converted: whole or not at all, EKS is nobody's principal any more, and a second time there is
 * nothing to convert. */
#include "fuzz.h"

#include "base/err.h"
#include "credentials/trust.h"

static void check(const struct cred_trust *trust, const json_t *policy)
{
	char removed[CRED_TRUST_REMOVED_SIZE];
	json_t *converted = NULL, *again = NULL, *before = json_deep_copy(policy);
	struct pc_err err = {};
	char *text;

	if (cred_trust_convert(trust, policy, &converted, removed, &err) < 0) {
		MUST(!converted && *err.msg);
	} else {
		text = json_dumps(json_object_get(converted, "Statement"), JSON_COMPACT);
		MUST(text);
		MUST(cred_trust_convert(trust, converted, &again, removed, &err) < 0 && !again);
		free(text);
		json_decref(converted);
	}
	MUST(json_equal(before, policy));
	json_decref(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cred_trust sts = {.source = CRED_SOURCE_STS,
					      .principal = "arn:aws:iam::111122223333:role/node",
					      .audience = "sts.amazonaws.com"},
				       web = {.source = CRED_SOURCE_WEB_IDENTITY,
					      .principal =
						      "arn:aws:iam::111122223333:oidc-provider/x",
					      .audience = "sts.amazonaws.com"};
	json_t *policy = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

	if (!policy)
		return 0;
	check(&sts, policy);
	check(&web, policy);
	json_decref(policy);
	return 0;
}
