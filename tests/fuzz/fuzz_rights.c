// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/*
 * A PodIdentityRolePolicy, and a role that somebody wants: a line each for the role, its target ("-": none) and the value
 * of the label "a" of namespace shop, then the spec. What is allowed is a role, and not all roles of all accounts unless
 * an asterisk says so; what is not known becomes an answer when the labels are.
 */
#include "fuzz.h"

#include "base/err.h"
#include "credentials/rights.h"

static void check_line(const char *text)
{
	MUST(*text);
	MUST(!strchr(text, '\n'));
}

static enum cred_right ask(const struct cred_rights *rights, const struct cred_rights_question *q)
{
	struct cred_rights_answer answer;

	cred_rights_ask(rights, q, &answer);
	check_line(answer.why);
	MUST(!answer.policy == (answer.right != CRED_RIGHT_ALLOWED));
	return answer.right;
}

static void check(const struct cred_rights *rights, const char *spec, struct cred_rights_question q)
{
	enum cred_right unknown = ask(rights, &q), none, known;

	q.labels_known = CRED_LABELS_NONE;
	none = ask(rights, &q);
	q.labels_known = CRED_LABELS_KNOWN;
	known = ask(rights, &q);
	MUST(none != CRED_RIGHT_UNKNOWN && known != CRED_RIGHT_UNKNOWN);
	/* labels can only add */
	MUST(none == CRED_RIGHT_REFUSED || known == CRED_RIGHT_ALLOWED);
	MUST(unknown == CRED_RIGHT_UNKNOWN ? none == CRED_RIGHT_REFUSED : unknown == none);
	MUST((unknown == CRED_RIGHT_UNKNOWN) <= (cred_rights_selecting(rights) == 1));
	if (known != CRED_RIGHT_ALLOWED)
		return;
	MUST(cred_is_role_arn(q.role_arn));
	MUST(strchr(spec, '*') || strchr(spec, '\\') || strstr(spec, strrchr(q.role_arn, '/') + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char *role = fuzz_line(&in), *target = fuzz_line(&in), *label = fuzz_line(&in);
	char *spec = fuzz_copy(in.data, in.size);
	const struct cred_pair labels[] = {{"a", label}};
	const struct cred_rights_question question = {
		.name_space = "shop",
		.labels = labels,
		.n_labels = 1,
		.role_arn = role,
		.target_role_arn = strcmp(target, "-") ? target : NULL,
	};
	struct cred_role_policy *policy;
	struct cred_rights *rights;
	struct pc_err err = {};

	MUST(cred_rights_new(&rights) == 0);
	if (cred_role_policy_parse("p", spec, in.size, &policy, &err) < 0) {
		check_line(err.msg);
	} else {
		char *text = calloc(1, in.size + 1);

		memcpy(text, spec, in.size);
		MUST(cred_rights_put(rights, policy, "u") == 0);
		/* folded YAML may spread a name over lines */
		if (!memchr(spec, '\n', in.size) && !memchr(spec, 0, in.size))
			check(rights, text, question);
		free(text);
	}
	cred_rights_free(rights);
	free(role);
	free(target);
	free(label);
	free(spec);
	return 0;
}
