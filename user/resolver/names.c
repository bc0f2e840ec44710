// SPDX-License-Identifier: Apache-2.0
/* The pod list, which gives the pods their names. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/plural.h"
#include "identity/registry.h"
#include "kernel/maps.h"
#include "resolver/resolver.h"

/* The file is read again whenever something happens in its folder: what has been said is not said
 * again. */
static bool is_news(struct resolver *res, const char *trouble)
{
	struct pc_err *said = &res->names.trouble;

	if (strcmp(said->msg, trouble) == 0)
		return false;
	snprintf(said->msg, sizeof(said->msg), "%s", trouble);
	return true;
}

/* For status and metrics, which may be asked of another process. */
static void tell_list(const struct resolver *res, const struct podlist *list)
{
	int fd = res->maps.runtime;

	kern_runtime_write(fd, PODCRED_RUNTIME_LIST_PODS, list->n);
	kern_runtime_write(fd, PODCRED_RUNTIME_LIST_SKIPPED, list->skipped);
	kern_runtime_write(fd, PODCRED_RUNTIME_LIST_READ, clock_boot_ns());
}

static void say_skipped(struct resolver *res, const struct podlist *list)
{
	if (!is_news(res, list->why))
		return;
	if (list->skipped)
		log_warn("%s: skipped, and without credentials: %zu of %zu pods: %s",
			 res->options->pods, list->skipped, list->n + list->skipped, list->why);
	else
		log_info("%s: every pod in it can be used", res->options->pods);
}

static void take_names(struct resolver *res, const struct podlist *list)
{
	struct pc_err err = {};
	int r;

	res->names.has_list = true;
	say_skipped(res, list);
	/* without memory the last one counts */
	resolver_listed_set(&res->around.listed, list->pods, list->n);
	log_debug("%zu pod%s in %s", list->n, plural(list->n), res->options->pods);
	r = registry_set_names(res->registry, list->pods, list->n, &err);
	if (r < 0)
		log_warn("%s; trying again", err.msg[0] ? err.msg : strerror(-r));
	tell_list(res, list);
}

static void load(struct resolver *res)
{
	_cleanup_(kube_podlist_done) struct podlist list = {};
	struct pc_err err = {};
	int r = kube_podlist_load(res->options->pods, &list, &err);

	if (r == 0)
		take_names(res, &list);
	else if (!is_news(res, err.msg))
		return;
	else if (r == -ENOENT &&
		 !res->names.has_list) /* whoever writes it starts later, as a rule */
		log_info("%s is not there yet; until it is, pods have no names, and get no "
			 "credentials",
			 res->options->pods);
	else
		log_warn("%s; the names read before stay in force", err.msg);
}

void resolver_names_reload(struct resolver *res)
{
	res->names.trouble = (struct pc_err){};
	if (res->options->pods)
		load(res);
}

static void say_blind(struct resolver *res)
{
	int error = res->names.list.error;

	if (error == res->names.error)
		return;
	res->names.error = error;
	/* Without a folder there is no list: reading it says so. */
	if (error && error != -ENOENT)
		log_warn("cannot watch the folder of %s: %s; looking at the file twice a second",
			 res->options->pods, strerror(-error));
}

static void look(void *arg);

static void on_folder(void *arg, unsigned ready)
{
	(void)ready;
	look(arg);
}

/* The look may open another folder, under the same number: what is watched is told anew each time. */
static void look(void *arg)
{
	struct resolver *res = arg;
	struct resolve_names *names = &res->names;
	bool changed;

	names->watch = loop_unwatch(names->watch);
	changed = kube_podlist_watch_look(&names->list);
	if (names->list.fd >= 0 &&
	    loop_watch(res->loop, names->list.fd, LOOP_READ, on_folder, res, &names->watch) < 0)
		names->watch = NULL; /* no memory: there is the timer */
	say_blind(res);
	if (changed)
		load(res);
}

int resolver_names_start(struct resolver *res, struct pc_err *err)
{
	(void)err;
	/* none by this one */
	kern_runtime_write(res->maps.runtime, PODCRED_RUNTIME_LIST_READ, 0);
	if (!res->options->pods) {
		log_warn("no --pods FILE: pods have no names, so no caller gets credentials");
		return 0;
	}
	kube_podlist_watch_start(&res->names.list, res->options->pods);
	kube_podlist_watch_look(&res->names.list);
	say_blind(res);
	load(res);
	return loop_every(res->loop, 0, RESOLVE_OFTEN_NS, look, res, NULL);
}

void resolver_names_stop(struct resolver *res)
{
	kube_podlist_watch_stop(&res->names.list);
}
