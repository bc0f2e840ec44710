// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/*
 * Annotations that tenants write, and patterns of namespaces. A line each: switches, role, external id, session,
 * allowed-roles, permitted, role-arn, audience; "-" stands for none. Whatever is chosen can be asked of STS, is of the
 * account of the base ARN unless an ARN was written, and was allowed.
 */
#include "fuzz.h"

#include "credentials/choose.h"
#include "credentials/session.h"

#define BASE "arn:aws:iam::111122223333:role/"

static const char *value(char *line)
{
	return strcmp(line, "-") == 0 ? NULL : line;
}

static void check_line(const char *text)
{
	MUST(*text);
	for (; *text; text++)
		MUST((unsigned char)*text >= ' ' && *text != 127);
}

static void check_made(const struct cred_choice *choice, const struct cred_facts *facts)
{
	const struct cred_pod pod = {"shop", "web-0", "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11",
				     "web"};
	const struct cred_association *a = choice->association;
	const struct cred_cluster cluster = {};
	struct cred_session s;

	MUST(cred_is_role_arn(a->role_arn) && a->origin == choice->origin && !choice->refused);
	MUST(!strcmp(a->namespace, "shop") && !strcmp(a->service_account, "web") && choice->table);
	MUST(cred_session_plan(a, CRED_SOURCE_STS, &pod, &cluster, &s, NULL) == 0);
	MUST(strlen(s.name) >= 2 && strlen(s.name) <= 64 && s.n_tags == 0);
	if (choice->origin == CRED_ORIGIN_IRSA) {
		MUST(a->source == CRED_SOURCE_WEB_IDENTITY && !s.hops[0].external_id);
		return;
	}
	MUST(a->source == CRED_SOURCE_STS);
	MUST(facts->annotations.role || !strcmp(a->role_arn, BASE "usual"));
	if (facts->annotations.role)
		MUST(choice->origin == CRED_ORIGIN_KIAM ? facts->annotations.permitted != NULL
							: facts->annotations.allowed_roles != NULL);
	if (facts->annotations.role && strncmp(facts->annotations.role, "arn:", 4) != 0)
		MUST(!strncmp(a->role_arn, BASE, strlen(BASE)));
}

static void check(const struct cred_rules *rules, const struct cred_facts *facts)
{
	struct cred_choice choice;
	bool decided = false;

	MUST(cred_choose(rules, facts, &choice) == 0);
	for (int i = 0; i < CRED_ORIGINS; i++) {
		enum cred_verdict verdict = choice.steps[i].verdict;

		check_line(choice.steps[i].why);
		MUST(!decided || (verdict != CRED_CHOSEN && verdict != CRED_REFUSED));
		decided = decided || verdict == CRED_CHOSEN || verdict == CRED_REFUSED;
	}
	if (choice.association)
		check_made(&choice, facts);
	else
		check_line(choice.why);
	cred_choice_done(&choice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char *lines[8];
	struct cred_facts facts = {.namespace = "shop",
				   .service_account = "web",
				   .object_known = CRED_KNOWN,
				   .annotations_known = CRED_KNOWN};

	for (size_t i = 0; i < 8; i++)
		lines[i] = fuzz_line(&in);
	facts.annotations = (struct cred_annotations){
		.role = value(lines[1]),
		.external_id = value(lines[2]),
		.session_name = value(lines[3]),
		.allowed_roles = value(lines[4]),
		.permitted = value(lines[5]),
		.irsa_role = value(lines[6]),
		.irsa_audience = value(lines[7]),
	};
	check(
		&(struct cred_rules){
			.irsa = strchr(lines[0], 'i'),
			.kube2iam = strchr(lines[0], '2'),
			.kiam = strchr(lines[0], 'k'),
			.base_role_arn =
				strchr(lines[0], 'b') || strchr(lines[0], 'd') ? BASE : NULL,
			.default_role = strchr(lines[0], 'd') ? "usual" : NULL,
			.allowed_roles_regexp = strchr(lines[0], 'r'),
		},
		&facts);
	for (size_t i = 0; i < 8; i++)
		free(lines[i]);
	return 0;
}
