/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What podcred knows about a pod, and who is told of it. The only header of identity for other
 * modules.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POD_UID_SIZE	   40 /* 36 characters and NUL, as in podcred_uapi.h */
#define POD_NAMESPACE_SIZE 64
#define POD_NAME_SIZE	   256

/*
 * The labels of a pod: immutable, and counted, so that copies of what is known of a pod share them.
 * NULL is a pod without labels. All on one thread.
 */
struct pod_labels;

/* Of keys and values, each with its NUL: more is not kept (labels_known). The API sets no limit, and
 * whoever may make a pod chooses its labels. */
#define POD_LABELS_MAX 4096

/* text: KEY NUL VALUE NUL, again and again; no key is empty. NULL: no memory. */
struct pod_labels *pod_labels_new(const char *text, size_t size);
struct pod_labels *pod_labels_ref(struct pod_labels *labels); /* returns labels */
struct pod_labels *pod_labels_unref(struct pod_labels *labels); /* returns NULL */
bool pod_labels_same(const struct pod_labels *a, const struct pod_labels *b);

/* As for pod_labels_new(), and an empty key behind the last one. Valid as long as labels. */
const char *pod_labels_text(const struct pod_labels *labels);

/* What a pod's annotations ask for, which counts only where the policy allows it. */
#define POD_ASKS_DENY	  (1U << 0)
#define POD_ASKS_REDIRECT (1U << 1)
#define POD_ASKS_IMDSV2	  (1U << 2)

/* A pod as the kernel shall know it: the cgroup, and the names when somebody vouches for them. */
struct pod_ident {
	uint64_t cgroup_id;
	uint64_t generation; /* of this record; grows whenever any record is rewritten */
	bool named; /* without it the three names are empty and host_network is false */
	bool host_network;
	bool is_static; /* uid is the kubelet's config hash */
	bool labels_known; /* else there may be any; never without a name */
	uint8_t asks; /* POD_ASKS_* */
	uint32_t
		before; /* what else the sink had of it, when its names were recalled (registry_recall),
			  * until a source tells of it; only the sink knows what it means */
	struct pod_labels *labels; /* the registry's */
	char uid[POD_UID_SIZE];
	char name_space[POD_NAMESPACE_SIZE];
	char name[POD_NAME_SIZE];
	char service_account[POD_NAME_SIZE];
};

/* A pod as a source of names (PodList, Kubernetes API) knows it: no cgroup. Copied by pod_name_copy(), as
 * each copy has a reference to the labels. */
struct pod_name {
	bool host_network;
	char uid[POD_UID_SIZE]; /* as pod_uid_canonical writes it */
	char name_space[POD_NAMESPACE_SIZE];
	char name[POD_NAME_SIZE];
	char service_account[POD_NAME_SIZE]; /* empty: it has none (mirror pods) */
	char config_hash[POD_UID_SIZE]; /* mirror pods: what their cgroup is named by; else empty */
	bool running; /* a container of it is, as the source says */
	bool labels_known; /* else it has some that cannot be read, or too many */
	uint8_t asks; /* POD_ASKS_* */
	struct pod_labels *labels;
};

void pod_name_copy(struct pod_name *to, const struct pod_name *from);
void pod_name_done(struct pod_name *pod);
bool pod_name_same(const struct pod_name *a, const struct pod_name *b); /* in all that it says */

/*
 * Who hears of changes. Each returns 0 or -errno; a pod whose upsert failed is offered again with
 * the next change or scan. They must not call back into the registry. qos may be NULL; an id of
 * 0 says that the cgroup is not there.
 */
struct identity_sink {
	int (*upsert)(void *arg, const struct pod_ident *pod);
	int (*remove)(void *arg, uint64_t cgroup_id);
	int (*qos)(void *arg, uint64_t burstable_id, uint64_t besteffort_id);
	void *arg;
};

/*
 * Pod uid in the one spelling that is compared: lower case, 8-4-4-4-12 with dashes, or 32 hex
 * digits (*ret_is_static). separator is what stands between the groups in text: '-' or '_'.
 * 0 or -EINVAL.
 */
int pod_uid_canonical(const char *text, size_t len, char separator, char ret_uid[POD_UID_SIZE],
		      bool *ret_is_static);
