// SPDX-License-Identifier: Apache-2.0
/* MODULES: broker yaml base */
/* LIBS: -lyaml */
/* Whatever comes over the network: what is accepted has the shape that all behind it rely on, and is the same when it is
 * written and read again. */
#include "fuzz.h"

#include "broker/request.h"

static bool is_made_of(const char *text, const char *characters)
{
	return !text[strspn(text, characters)];
}

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void check_body(enum broker_operation operation, const char *text, size_t len)
{
	struct broker_body body = {}, again = {};
	char written[2 * BROKER_TOKEN_SIZE];

	if (broker_request_body(operation, text, len, &body) < 0) {
		MUST(!body.token[0] && !body.pod_uid[0]);
		return;
	}
	MUST(is_made_of(body.token, LETTERS "-_."));
	MUST(is_made_of(body.pod_uid, "0123456789abcdef-"));
	MUST(operation == BROKER_ASSUME_FOR_POD ? strlen(body.pod_uid) == 36 : *body.token);
	snprintf(written, sizeof(written), "{%s%s%s\"token\":\"%s\"}",
		 *body.pod_uid ? "\"podUid\":\"" : "", body.pod_uid, *body.pod_uid ? "\"," : "",
		 *body.token ? body.token : "t");
	MUST(broker_request_body(operation, written, strlen(written), &again) == 0);
	MUST(!strcmp(again.pod_uid, body.pod_uid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	char cluster[BROKER_CLUSTER_SIZE], token[BROKER_TOKEN_SIZE];

	check_body(BROKER_ASSUME_FOR_POD, (const char *)data, size);
	check_body(BROKER_ASSUME_FOR_TOKEN, (const char *)data, size);
	(void)broker_request_route("POST", text, cluster);
	MUST(strlen(cluster) < sizeof(cluster) && is_made_of(cluster, LETTERS "-_"));
	if (broker_request_bearer(text, token) == 0)
		MUST(*token && is_made_of(token, LETTERS "-_."));
	if (broker_request_sts((const char *)data, size, token) == 0)
		MUST(*token && is_made_of(token, LETTERS "-_."));
	free(text);
	return 0;
}
