// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/k8s_name.h"
#include "control/eks_call.h"
#include "kube/client.h"

/* ---- one ---- */

static void describe(struct eks_call *call)
{
	const struct eks_object *o = eks_store_find_id(call->api->store, call->id);
	const json_t *tags;

	if (!o) {
		eks_call_missing(call);
		return;
	}
	if (call->request.op == EKS_DESCRIBE) {
		eks_call_answer(call, json_pack("{s:o}", "association",
						eks_association(&call->api->cluster, o)));
		return;
	}
	tags = json_object_get(json_object_get(o->object, "spec"), "tags");
	eks_call_answer(call,
			tags ? json_pack("{s:O}", "tags", tags) : json_pack("{s:{}}", "tags"));
}

void eks_describe(struct eks_call *call)
{
	if (eks_call_find(call, eks_describe))
		eks_call_authorize(call, "get", describe);
}

/* ---- all ---- */

struct page {
	struct eks_call *call;
	json_t *items;
	char last[EKS_KEY_SIZE];
	bool more;
};

static bool is_wanted(const struct eks_request *r, const struct eks_object *o)
{
	if (r->name_space[0] && strcmp(r->name_space, o->name_space) != 0)
		return false;
	return !r->service_account[0] || !strcmp(r->service_account, o->name);
}

static void add_to_page(void *arg, const struct eks_object *o)
{
	struct page *page = arg;
	const struct eks_request *r = &page->call->request;

	if (strcmp(o->key, r->cursor) <= 0 || !is_wanted(r, o))
		return;
	if (json_array_size(page->items) >= r->max_results) {
		page->more = true;
		return;
	}
	json_array_append_new(page->items, eks_summary(&page->call->api->cluster, o));
	strcpy(page->last, o->key);
}

/* The token is the key of the last one, so that a page begins where the one before has ended, whatever has come and
 * gone meanwhile. */
static void list(struct eks_call *call)
{
	struct page page = {.call = call, .items = json_array()};

	eks_store_each(call->api->store, add_to_page, &page);
	if (page.more)
		eks_call_answer(call, json_pack("{s:o, s:s}", "associations", page.items,
						"nextToken", page.last));
	else
		eks_call_answer(call, json_pack("{s:o}", "associations", page.items));
}

/* Whoever asks for one service account wants to know whether there is an association, however young. */
static void list_or_wait(struct eks_call *call)
{
	const struct eks_request *r = &call->request;

	if (r->name_space[0] && r->service_account[0] &&
	    !eks_store_find(call->api->store, r->name_space, r->service_account))
		eks_call_wait(call, list);
	else
		list(call);
}

void eks_list(struct eks_call *call)
{
	const char *name_space = call->request.name_space;

	if (name_space[0] && !k8s_is_label(name_space, strlen(name_space))) {
		eks_call_invalid(call, "namespace is not the name of a namespace");
		return;
	}
	memcpy(call->name_space, name_space, strlen(name_space) + 1);
	eks_call_authorize(call, "list", list_or_wait);
}
