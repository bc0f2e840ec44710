// SPDX-License-Identifier: Apache-2.0
/* MODULES: control base */
/* LIBS: -ljansson */
/*
 * Requests to the API of associations: a line with method and target, then the body. What is understood is about one cluster,
 * has an id that is one, and members of the operation's own; all else has an error with a name, a status and a message.
 */
#include "fuzz.h"

#include "control/eks_request.h"

static void check_text(const char *text, size_t size)
{
	MUST(strnlen(text, size) < size);
	for (; *text; text++)
		MUST((unsigned char)*text >= ' ' && *text != 127);
}

static void check_understood(const struct eks_request *r)
{
	bool tags = r->op == EKS_TAG || r->op == EKS_UNTAG || r->op == EKS_LIST_TAGS;
	bool has_body = r->op == EKS_CREATE || r->op == EKS_UPDATE || r->op == EKS_TAG;
	bool has_id = r->op != EKS_CREATE && r->op != EKS_LIST && r->op < EKS_DESCRIBE_CLUSTER;
	bool has_cluster = r->op != EKS_DESCRIBE_VERSIONS;

	MUST(r->op < EKS_OPS && eks_op_name(r->op));
	check_text(r->cluster, sizeof(r->cluster));
	check_text(r->addon, sizeof(r->addon));
	MUST((r->cluster[0] != '\0') == has_cluster);
	MUST((r->addon[0] != '\0') == (r->op == EKS_DESCRIBE_ADDON));
	MUST(has_id ? strlen(r->id) == EKS_ID_SIZE - 1 : !r->id[0]);
	MUST(tags == (r->arn[0] != '\0') && has_body == (r->body != NULL));
	check_text(r->name_space, sizeof(r->name_space));
	check_text(r->service_account, sizeof(r->service_account));
	check_text(r->cursor, sizeof(r->cursor));
	MUST(r->max_results >= 1 && r->max_results <= EKS_LIST_MAX);
	MUST(r->n_tag_keys <= EKS_TAGS_MAX && (r->op == EKS_UNTAG) == (r->n_tag_keys > 0));
	for (size_t i = 0; i < r->n_tag_keys; i++)
		check_text(r->tag_keys[i], EKS_TAG_KEY_SIZE);
	if (r->op == EKS_CREATE)
		MUST(eks_request_text(r, "namespace") && eks_request_text(r, "roleArn"));
}

/* Up to a blank or line feed; the rest is behind it. */
static char *take_word(char **text)
{
	char *word = *text;
	size_t len = strcspn(word, " \n");

	*text += len + (word[len] != '\0');
	word[len] = '\0';
	return word;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text;
	struct eks_error error = {};
	struct eks_request r;
	char *method, *target;

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	method = take_word(&rest);
	target = take_word(&rest);
	if (eks_request_parse(method, target, rest, strlen(rest), &r, &error) == 0)
		check_understood(&r);
	else
		MUST(error.name && error.status >= 400 && error.message[0]);
	eks_request_done(&r);
	free(text);
	return 0;
}
