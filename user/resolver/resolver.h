/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver's sources: each watches something or runs periodically, and has its own file. They
 * share the loop, the maps and the registry. They start in the order of the list in
 * daemon/resolve.c; their watches and timers end with the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "kernel/events.h"
#include "kernel/maps.h"
#include "kube/podlist.h"
#include "kube/pods.h"
#include "resolver/options.h"

struct http_client; /* http/client.h */
struct kube_client; /* kube/client.h */
struct pod_ident; /* pod.h */
struct upstream; /* upstream/upstream.h */

#define RESOLVE_OFTEN_NS (500 * CLOCK_MS)
#define RESOLVE_SOON_NS	 (2 * CLOCK_S)
#define RESOLVE_RARE_NS	 (10 * CLOCK_S)

/* How the loop ends. */
enum {
	RESOLVE_STOP,
	RESOLVE_AGAIN, /* kubepods is another one: nothing that was known of it holds */
};

/* What stays when it starts again. */
struct resolve_tenure {
	char *mount; /* cgroup2 */
	int channel; /* to podcred run; negative: it did not start us */
	int config_fd; /* the configuration as run handed it over; negative: read the file */
	int serve_fd; /* to the agent, from podcred run; negative: none */
	int lock_fd; /* of the only resolver; podcred run has it for its child */
	struct metrics_file *metrics; /* NULL: not started yet */
};

struct resolve_maps {
	int config, runtime, pods, quota, flows, stats, passes, pass_quota;
	int source; /* negative: the load does not have it */
	int pods_error; /* of writing podcred_pods, as said last */
};

struct resolver {
	const struct resolver_options *options;
	struct resolve_tenure *tenure;
	const char *mount; /* the tenure's */
	struct loop *loop;
	struct resolve_maps maps;
	struct registry *registry;
	struct config config; /* its policy is all that counts here */
	char kubepods[4096]; /* path */

	struct resolve_cgroups {
		struct cgtree *tree;
		struct kern_events *events; /* NULL: inotify */
		struct loop_timer *scan, *cover;
		uint64_t lost; /* events that the kernel could not hand over, as last seen */
		uint32_t level; /* of kubepods */
		int scan_error, cover_error; /* of the last time, 0 when it went well */
	} cgroups;

	struct podcred_source source; /* as others are told of it */

	struct resolve_file {
		struct podlist_watch list;
		struct loop_watch *watch; /* of its folder */
		int error; /* of the watch, as said last */
		struct pc_err trouble; /* what was said of the list last */
		bool has_list; /* one was read */
	} file;

	struct resolve_api {
		struct http_client *http;
		struct kube_client *client;
		struct kube_pods *pods;
		bool listed; /* that there is a list was said */
		bool lost; /* that it is out of touch was said */
		uint64_t errors[KUBE_WATCH_ERRORS]; /* as seen last */
		unsigned classes; /* of them that were said since it is out of touch */
		char said[KUBE_WATCH_WHY_SIZE]; /* what was wrong, as said last */
		char unusable[KUBE_WATCH_WHY_SIZE]; /* the same, of pods that cannot be used */
	} api;

	struct resolve_links {
		int fd; /* of netlink; negative: nobody tells of new interfaces */
		struct loop_watch *watch;
		int error; /* as said last */
	} links;

	struct resolve_around {
		struct loop_timer *timer;
		struct cgsurvey_walk *walk; /* NULL: between two */
		uint64_t took_ns; /* that of it so far */
		uint64_t
			absent_ns; /* CLOCK_MONOTONIC: since when no pod that should run does; 0: one does */
		size_t absent; /* of them, as it was said */
		bool strays; /* pods were seen outside of kubepods, and it was said */
	} around;

	struct kern_quota_memory *quota_memory, *pass_quota_memory;
	struct upstream *serve; /* NULL: nobody to tell of pods that have ended */
	struct lease *lease;
	uint64_t ready; /* what this one has said: since when it follows the pods; 0: not yet */
};

/* ---- maps.c: what the registry decides, the kernel learns ---- */

int resolver_maps_open(struct resolver *res, struct pc_err *err);
void resolver_maps_close(struct resolver *res);
int resolver_registry_start(struct resolver *res, struct pc_err *err);

/* Pods of an earlier resolver that are not there any more. After the first scan. */
void resolver_drop_leftovers(struct resolver *res);

/* ---- policy.c ---- */

struct resolver_policy {
	uint32_t flags; /* PODCRED_POD_* */
	uint32_t line; /* of the rule; 0: none */
};

/* What a pod's annotations asked for (POD_ASKS_*), as far as the flags of an earlier resolver tell. */
uint8_t resolver_policy_recall(uint32_t flags);

struct resolver_policy resolver_policy_of(const struct config *config, const struct pod_ident *pod);
int resolver_policy_start(struct resolver *res, struct pc_err *err);
void resolver_policy_reload(struct resolver *res);

/* ---- gone.c ---- */

int resolver_gone_start(struct resolver *res, struct pc_err *err);
void resolver_gone_tell(const struct resolver *res, const char *uid);
void resolver_gone_stop(struct resolver *res);

/* ---- cgroups.c ---- */

int resolver_cgroups_start(struct resolver *res, struct pc_err *err);
void resolver_cgroups_scan(struct resolver *res);
void resolver_cgroups_stop(struct resolver *res);

/* ---- names.c: where the names come from ---- */

int resolver_names_start(struct resolver *res, struct pc_err *err);
/* Of a file: read it again, and say again what is wrong with it. */
void resolver_names_reload(struct resolver *res);
void resolver_names_stop(struct resolver *res);

/* For others: res->source, and the list of pods: how many it names, how many it could not use, as of when
 * it is complete (CLOCK_BOOTTIME; 0: none read yet). */
void resolver_source_tell(struct resolver *res, size_t pods, size_t skipped, uint64_t as_of_ns);
/* res->source alone. */
void resolver_source_retell(struct resolver *res);

/* names_file.c */
int resolver_file_start(struct resolver *res, struct pc_err *err);
void resolver_file_reload(struct resolver *res);
void resolver_file_stop(struct resolver *res);

/* names_api.c */
int resolver_api_check(const struct resolver_source *source, struct pc_err *err);
int resolver_api_start(struct resolver *res, struct pc_err *err);
void resolver_api_stop(struct resolver *res);

/* ---- links.c: interfaces ---- */

int resolver_links_start(struct resolver *res, struct pc_err *err);
void resolver_links_stop(struct resolver *res);

/* ---- around.c: pods that run elsewhere ---- */

int resolver_around_start(struct resolver *res, struct pc_err *err);
void resolver_around_stop(struct resolver *res);

/* ---- quota.c: what only time takes away ---- */

int resolver_quota_start(struct resolver *res, struct pc_err *err);
void resolver_quota_stop(struct resolver *res);

/* ---- health.c: what others may know of this one ---- */

/* Two would take each other's pods away. */
int resolver_be_the_only_one(struct resolver *res, struct pc_err *err);

/* Last of all: says that it follows the pods. */
int resolver_health_start(struct resolver *res, struct pc_err *err);
void resolver_health_stop(struct resolver *res);
