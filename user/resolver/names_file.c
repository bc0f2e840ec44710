// SPDX-License-Identifier: Apache-2.0
/* Names from a pod list in a file. It is taken at its word: who is not in it has no name. */
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
	struct pc_err *said = &res->file.trouble;

	if (strcmp(said->msg, trouble) == 0)
		return false;
	snprintf(said->msg, sizeof(said->msg), "%s", trouble);
	return true;
}

static void say_skipped(struct resolver *res, const struct podlist *list)
{
	if (!is_news(res, list->why))
		return;
	if (list->skipped)
		log_warn("%s: skipped, and without credentials: %zu of %zu pods: %s",
			 res->options->source.pods, list->skipped, list->n + list->skipped,
			 list->why);
	else
		log_info("%s: every pod in it can be used", res->options->source.pods);
}

static void take_names(struct resolver *res, const struct podlist *list)
{
	struct pc_err err = {};
	int r;

	res->file.has_list = true;
	say_skipped(res, list);
	log_debug("%zu pod%s in %s", list->n, plural(list->n), res->options->source.pods);
	r = registry_set_names(res->registry, list->pods, list->n, &err);
	if (r < 0)
		log_warn("%s; trying again", err.msg[0] ? err.msg : strerror(-r));
	resolver_source_tell(res, list->n, list->skipped, clock_boot_ns());
}

static void load(struct resolver *res)
{
	_cleanup_(kube_podlist_done) struct podlist list = {};
	struct pc_err err = {};
	int r = kube_podlist_load(res->options->source.pods, &list, &err);

	if (r == 0)
		take_names(res, &list);
	else if (!is_news(res, err.msg))
		return;
	else if (r == -ENOENT &&
		 !res->file.has_list) /* whoever writes it starts later, as a rule */
		log_info("%s is not there yet; until it is, pods that were named before keep their "
			 "names, and others have no names and get no credentials",
			 res->options->source.pods);
	else
		log_warn("%s; the names read before stay in force", err.msg);
}

void resolver_file_reload(struct resolver *res)
{
	res->file.trouble = (struct pc_err){};
	load(res);
}

static void say_blind(struct resolver *res)
{
	int error = res->file.list.error;

	if (error == res->file.error)
		return;
	res->file.error = error;
	/* Without a folder there is no list: reading it says so. */
	if (error && error != -ENOENT)
		log_warn("cannot watch the folder of %s: %s; looking at the file twice a second",
			 res->options->source.pods, strerror(-error));
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
	struct resolve_file *file = &res->file;
	bool changed;

	file->watch = loop_unwatch(file->watch);
	changed = kube_podlist_watch_look(&file->list);
	if (file->list.fd >= 0 &&
	    loop_watch(res->loop, file->list.fd, LOOP_READ, on_folder, res, &file->watch) < 0)
		file->watch = NULL; /* no memory: there is the timer */
	say_blind(res);
	if (changed)
		load(res);
}

int resolver_file_start(struct resolver *res, struct pc_err *err)
{
	const char *path = res->options->source.pods;

	(void)err;
	res->source.kind = PODCRED_SOURCE_FILE;
	snprintf(res->source.from, sizeof(res->source.from), "%s", path);
	resolver_source_tell(res, 0, 0, 0); /* none read by this one */
	kube_podlist_watch_start(&res->file.list, path);
	kube_podlist_watch_look(&res->file.list);
	say_blind(res);
	load(res);
	return loop_every(res->loop, 0, RESOLVE_OFTEN_NS, look, res, NULL);
}

void resolver_file_stop(struct resolver *res)
{
	res->file.watch = loop_unwatch(res->file.watch);
	kube_podlist_watch_stop(&res->file.list);
}
