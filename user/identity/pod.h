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

/* A pod as the kernel shall know it: the cgroup, and the names when somebody vouches for them. */
struct pod_ident {
	uint64_t cgroup_id;
	uint64_t generation; /* of this record; grows whenever any record is rewritten */
	bool named; /* without it the three names are empty and host_network is false */
	bool host_network;
	bool is_static; /* uid is the kubelet's config hash */
	char uid[POD_UID_SIZE];
	char name_space[POD_NAMESPACE_SIZE];
	char name[POD_NAME_SIZE];
	char service_account[POD_NAME_SIZE];
};

/* A pod as a source of names (PodList, Kubernetes API) knows it: no cgroup. */
struct pod_name {
	bool host_network;
	char uid[POD_UID_SIZE]; /* as pod_uid_canonical writes it */
	char name_space[POD_NAMESPACE_SIZE];
	char name[POD_NAME_SIZE];
	char service_account[POD_NAME_SIZE]; /* empty: it has none (mirror pods) */
	char config_hash[POD_UID_SIZE]; /* mirror pods: what their cgroup is named by; else empty */
	bool running; /* a container of it is, as the source says */
};

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
