// SPDX-License-Identifier: Apache-2.0
#include "guard.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "caps.h"
#include "cleanup.h"

#define LOAD_AGAIN "run podcred load again"

/* ---- gaps ---- */

static void add(struct guard *guard, const char *kind, bool unknown, const char *next,
		const char *fmt, va_list ap)
{
	struct guard_gap *gap;

	if (guard->n_gaps == GUARD_MAX_GAPS) {
		/* a gap is never lost to what could not be asked */
		guard->gaps[GUARD_MAX_GAPS - 1].unknown &= unknown;
		return;
	}
	gap = &guard->gaps[guard->n_gaps++];
	gap->kind = kind;
	gap->unknown = unknown;
	snprintf(gap->next, sizeof(gap->next), "%s", next);
	vsnprintf(gap->text, sizeof(gap->text), fmt, ap);
}

void guard_gap(struct guard *guard, const char *kind, const char *next, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(guard, kind, false, next, fmt, ap);
	va_end(ap);
}

void guard_unknown(struct guard *guard, const char *kind, const char *next, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(guard, kind, true, next, fmt, ap);
	va_end(ap);
}

/* ---- program: does the kernel run what was loaded? ---- */

/* What to do for this process to be told. */
static const char *takes(char *buf, size_t size)
{
	char lacking[64];

	if (*caps_lacking(CAPS_BIT(CAP_BPF) | CAPS_BIT(CAP_NET_ADMIN), lacking, sizeof(lacking)))
		snprintf(buf, size, "give it %s, or run as root", lacking);
	else
		snprintf(buf, size, "run as root, outside of a container");
	return buf;
}

static void find_programs(struct guard *guard, const char *kind)
{
	char text[128];

	for (size_t i = 0; i < guard->status.n_links; i++) {
		const struct loader_link_status *link = &guard->status.links[i];

		if (!link->expected || link->effective)
			continue;
		if (link->unknown)
			guard_unknown(guard, kind, takes(text, sizeof(text)),
				      "whether the kernel runs %s may not be asked", link->name);
		else if (!link->pinned)
			guard_gap(guard, kind, LOAD_AGAIN, "%s is not attached", link->name);
		else if (!link->alive)
			guard_gap(guard, kind, LOAD_AGAIN, "%s is dead, its cgroup was removed",
				  link->name);
		else
			guard_gap(guard, kind, LOAD_AGAIN,
				  "%s is attached, but the kernel does not run it", link->name);
	}
}

/* ---- kubepods: is it the one that the programs know? ---- */

static void find_kubepods(struct guard *guard, const char *kind)
{
	struct stat st;

	if (stat(guard->kubepods, &st) < 0 && errno == EACCES)
		guard_unknown(guard, kind, "run as root", "%s may not be looked at",
			      guard->kubepods);
	else if (stat(guard->kubepods, &st) < 0)
		guard_gap(guard, kind, LOAD_AGAIN, "%s is gone", guard->kubepods);
	else if (st.st_ino != guard->status.runtime[PODCRED_RUNTIME_KUBEPODS])
		guard_gap(guard, kind, LOAD_AGAIN,
			  "%s is not the one that was loaded: it was made anew", guard->kubepods);
	else
		guard->kubepods_there = true;
}

/* ---- all of them ---- */

static const struct {
	const char *kind;
	void (*find)(struct guard *guard, const char *kind);
} finders[] = {
	{"program", find_programs},
	{"kubepods", find_kubepods},
};

const char *guard_kind(size_t i)
{
	return i < ARRAY_SIZE(finders) ? finders[i].kind : NULL;
}

size_t guard_count(const struct guard *guard, const char *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < guard->n_gaps; i++)
		n += !guard->gaps[i].unknown && !strcmp(guard->gaps[i].kind, kind);
	return n;
}

bool guard_has_unknown(const struct guard *guard, const char *kind)
{
	for (size_t i = 0; i < guard->n_gaps; i++)
		if (guard->gaps[i].unknown && !strcmp(guard->gaps[i].kind, kind))
			return true;
	return false;
}

enum guard_verdict guard_verdict(const struct guard *guard)
{
	for (size_t i = 0; i < guard->n_gaps; i++)
		if (!guard->gaps[i].unknown)
			return GUARD_INCOMPLETE;
	return guard->n_gaps ? GUARD_UNKNOWN : GUARD_COMPLETE;
}

static int name_cgroup(const struct guard *guard, const char *below, char **ret)
{
	return asprintf(ret, "%s%s", guard->mount, below) < 0 ? -ENOMEM : 0;
}

int guard_read(const char *pin_dir, const char *mount, struct guard *ret, struct pc_err *err)
{
	const struct podcred_config *config = &ret->status.config;
	int r;

	*ret = (struct guard){.pin_dir = pin_dir, .mount = mount};
	r = loader_status_read(pin_dir, mount, &ret->status, err);
	if (r == 0)
		r = name_cgroup(ret, config->kubepods_path, &ret->kubepods);
	if (r == 0)
		r = name_cgroup(ret, config->guard_path, &ret->guarded);
	if (r == 0)
		r = name_cgroup(ret, config->agent_path, &ret->agent);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(finders); i++)
		finders[i].find(ret, finders[i].kind);
	return r;
}

void guard_done(struct guard *guard)
{
	free(guard->kubepods);
	free(guard->guarded);
	free(guard->agent);
	guard->kubepods = guard->guarded = guard->agent = NULL;
}
