// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* The associations file: whole or not at all, and no message repeats a secret. */
#include "fuzz.h"

#include "base/k8s_name.h"
#include "base/timestamp.h"
#include "credentials/session.h"

/* Stands in the seeds where secrets do. Wherever it wanders to, no message may have it. */
#define SECRET "wJalrXUtn/K7MDENG+"

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

static void check_static(const struct cred_association *a)
{
	time_t when = 0;

	MUST(is_printable(a->keys.access_key_id) && *a->keys.access_key_id);
	MUST(is_printable(a->keys.secret_access_key) && *a->keys.secret_access_key);
	MUST(is_printable(a->keys.session_token) && *a->keys.session_token);
	if (a->keys.expiration)
		MUST(timestamp_parse(a->keys.expiration, &when) == 0);
	MUST(a->expires == when);
}

/* Whatever was accepted can be planned, and its parameters are what STS takes. */
static void check_session(const struct cred_association *a)
{
	const struct cred_pod pod = {a->namespace, "pod-0", "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11",
				     a->service_account};
	const struct cred_cluster cluster = {"demo", "arn:aws:eks:r:111122223333:cluster/demo"};
	struct cred_session s;

	MUST(cred_session_plan(a, CRED_SOURCE_STS, &pod, &cluster, &s, NULL) == 0);
	MUST(strlen(s.key) == 64 && s.n_tags <= CRED_TAGS_MAX);
	if (s.source != CRED_SOURCE_STS && s.source != CRED_SOURCE_WEB_IDENTITY)
		return;
	MUST(strlen(s.name) >= 2 && strlen(s.name) <= 64 && !strpbrk(s.name, "/: \n"));
	MUST(s.n_hops == (a->target_role_arn ? 2U : 1U));
	for (size_t i = 0; i < s.n_hops; i++) {
		MUST(cred_is_role_arn(s.hops[i].role_arn));
		MUST(s.hops[i].duration >= 900 && s.hops[i].duration <= 43200);
	}
	MUST(!a->policy || (a->disable_session_tags && strlen(a->policy) <= 4096));
	for (size_t i = 0; i < s.n_tags; i++)
		for (size_t j = 0; j < i; j++)
			MUST(strcasecmp(s.tags[i].key, s.tags[j].key) != 0);
}

/* Values go into paths, JSON and headers as they are. */
static void check_entry(const struct cred_association *a)
{
	MUST(a && a->namespace && a->service_account);
	MUST(k8s_is_label(a->namespace, strlen(a->namespace)));
	MUST(k8s_is_subdomain(a->service_account, strlen(a->service_account)));
	MUST(!a->role == (a->source == CRED_SOURCE_EKS_AUTH));
	if (a->role) {
		MUST(*a->role && strlen(a->role) <= 64 && !strpbrk(a->role, "/%?#\"\\ \n"));
		MUST(strcmp(a->role, ".") != 0 && strcmp(a->role, "..") != 0);
	}
	MUST(!a->account_id ||
	     (strlen(a->account_id) == 12 && strspn(a->account_id, "0123456789") == 12));
	if (a->source == CRED_SOURCE_STATIC)
		check_static(a);
	if (a->source == CRED_SOURCE_EXEC)
		MUST(a->exec.command && a->exec.command[0][0] == '/');
	check_session(a);
}

/* Names are in the text as they are found: look for each word of it. */
static size_t find_all(const struct cred_table *t, const char *text)
{
	static const char names[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	const char *word[64];
	size_t n = 0, found = 0;

	for (const char *at = text; *at && n < 64;) {
		size_t len = strspn(at, names);

		if (!len) {
			at++;
			continue;
		}
		word[n++] = strndup(at, len);
		at += len;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			const struct cred_association *a = cred_table_find(t, word[i], word[j]);

			if (!a)
				continue;
			found++;
			MUST(!strcmp(a->namespace, word[i]) &&
			     !strcmp(a->service_account, word[j]));
			check_entry(a);
		}
	for (size_t i = 0; i < n; i++)
		free((char *)word[i]);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size), *words = fuzz_string(data, size);
	struct cred_table *t = NULL;
	struct pc_err err = {};

	if (cred_table_parse_spec("s/p", CRED_ORIGIN_OBJECT, "s", "p", text, size, &t, &err) == 0) {
		MUST(cred_table_count(t) == 1 &&
		     cred_table_at(t, 0)->source == CRED_SOURCE_DEFAULT);
		check_entry(cred_table_at(t, 0));
		cred_table_unref(t);
		t = NULL;
	} else {
		MUST(!t && !strncmp(err.msg, "s/p: ", 5));
	}

	if (cred_table_parse("f", text, size, &t, &err) == 0) {
		MUST(cred_table_count(t) <= size);
		find_all(t, words);
		MUST(!cred_table_find(t, "", ""));
		cred_table_unref(cred_table_ref(t));
		cred_table_unref(t);
	} else {
		MUST(!t && !strncmp(err.msg, "f:", 2));
		MUST(!strstr(err.msg, SECRET));
		for (const char *c = err.msg; *c; c++)
			MUST((unsigned char)*c >= ' ' && *c != 127);
	}
	free(words);
	free(text);
	return 0;
}
