// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/webhook_pods.c */
/* MODULES: control base */
/* LIBS: -ljansson */
/* A pod, and a whole review: nothing but what may be changed is, and the same pod is changed once. */
#include "fuzz.h"

#include "../unit/webhook_pods.h"

static int nothing(void *arg, const char *name_space, const char *service_account,
		   struct control_found *ret)
{
	(void)arg, (void)name_space, (void)service_account;
	ret->exists = true;
	return 0;
}

static void read_review(const uint8_t *data, size_t size)
{
	const struct control_inject inject = {};
	struct control_outcome outcome;
	struct text t = {};
	unsigned status = control_webhook(&inject, nothing, NULL, data, size, &t, &outcome);

	MUST(status == 200 ? t.data[0] == '{' : t.data[0] != '{');
	MUST((status == 400) == (outcome.verdict == CONTROL_UNREADABLE));
	text_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *pod;

	read_review(data, size);
	pod = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	for (unsigned i = 0; json_is_object(pod) && i < 8; i++) {
		struct webhook_try try = {
			.inject = {.style = i & 1 ? CONTROL_STYLE_WEB_IDENTITY
						  : CONTROL_STYLE_CONTAINER,
				   .override_irsa = i & 2,
				   .region = i & 4 ? "eu-west-1" : NULL},
			.found = {.exists = true, .role_arn = "arn:aws:iam::111122223333:role/app"},
		};
		const char *broken = webhook_broken(&try, pod);

		if (broken)
			fprintf(stderr, "%s\n", broken);
		MUST(!broken);
	}
	json_decref(pod);
	return 0;
}
