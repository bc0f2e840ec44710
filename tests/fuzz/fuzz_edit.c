// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/*
 * An associations file that is changed: an entry of shop/web is put in, and taken out again. Whatever the file is, the
 * others stay, and what is written is valid.
 */
#include "fuzz.h"

#include "base/err.h"
#include "credentials/associations.h"
#include "credentials/edit.h"

#define ENTRY "namespace: shop\nserviceAccount: web\nroleArn: arn:aws:iam::111122223333:role/new\n"

static void check_others(const char *before, size_t before_len, const struct text *after)
{
	struct cred_table *a, *b;

	MUST(cred_table_parse("a", before, before_len, &a, NULL) == 0);
	MUST(cred_table_parse("b", after->data, after->len, &b, NULL) == 0);
	for (size_t i = 0; i < cred_table_count(a); i++) {
		const struct cred_association *old = cred_table_at(a, i), *new;

		if (!strcmp(old->namespace, "shop") && !strcmp(old->service_account, "web"))
			continue;
		new = cred_table_find(b, old->namespace, old->service_account);
		MUST(new &&new->source == old->source && !new->role_arn == !old->role_arn);
		MUST(!old->role_arn || !strcmp(old->role_arn, new->role_arn));
	}
	cred_table_unref(a);
	cred_table_unref(b);
}

static int edit(const char *text, size_t len, const char *entry, struct text *ret)
{
	const struct cred_edit edit = {.name = "f",
				       .text = text,
				       .len = len,
				       .name_space = "shop",
				       .service_account = "web",
				       .entry = entry,
				       .discard_comments = true};
	struct pc_err err = {};
	int r = cred_edit(&edit, ret, &err);

	MUST(!r || (err.msg[0] && !strchr(err.msg, '\n')));
	if (r == 0)
		check_others(text, len, ret);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct text with = {}, without = {};

	if (edit(text, size, ENTRY, &with) == 0)
		edit(with.data, with.len, NULL, &without);
	text_done(&with);
	text_done(&without);
	free(text);
	return 0;
}
