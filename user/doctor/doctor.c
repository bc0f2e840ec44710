// SPDX-License-Identifier: Apache-2.0
#include "doctor/doctor.h"

#include <errno.h>
#include <fts.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "doctor/checks.h"
#include "node/layout.h"

/* What a check cannot do without. */
enum need {
	NEED_ROOT = 1,
	NEED_CGROUPS = 2, /* the whole hierarchy */
	NEED_LOADED = 4,
	NEED_PROBE = 8,
};

static const struct check {
	const char *name;
	void (*fn)(struct doctor *d, struct doctor_result *r);
	unsigned needs;
} checks[] = {
	{"kernel", doctor_check_kernel, NEED_ROOT},
	{"cgroup-namespace", doctor_check_cgroup_namespace, 0},
	{"network-namespace", doctor_check_network_namespace, 0},
	{"guard", doctor_check_guard, NEED_ROOT | NEED_CGROUPS},
	{"interfaces", doctor_check_interfaces, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"path", doctor_check_path, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"kubepods", doctor_check_kubepods, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"other-load", doctor_check_other_load, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"outside", doctor_check_outside, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"cgroup-v1", doctor_check_cgroup_v1, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"dying-cgroups", doctor_check_dying, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"pins", doctor_check_pins, NEED_ROOT},
	{"foreign-programs", doctor_check_foreign, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"agent", doctor_check_agent, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"agent-process", doctor_check_agent_process, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"fetch-process", doctor_check_fetch_process, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"ipv6", doctor_check_ipv6, NEED_ROOT | NEED_LOADED},
	{"resolver", doctor_check_resolver, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"names", doctor_check_names, NEED_ROOT | NEED_LOADED},
	{"policy", doctor_check_policy, NEED_ROOT | NEED_LOADED},
	{"sandboxes", doctor_check_sandboxes, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"sniffers", doctor_check_sniffers, NEED_ROOT | NEED_CGROUPS | NEED_LOADED},
	{"sysctls", doctor_check_sysctls, 0},
	{"probe-resolver", doctor_check_probe_resolver, ~0U},
	{"probe-identity", doctor_check_probe_identity, ~0U},
	{"probe-datagram", doctor_check_probe_datagram, ~0U},
	{"probe-packet", doctor_check_probe_packet, ~0U},
};

void doctor_say(struct doctor_result *r, enum doctor_level level, const char *next, const char *fmt,
		...)
{
	va_list ap;

	r->level = level;
	snprintf(r->next, sizeof(r->next), "%s", next ?: "");
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}

void doctor_say_err(struct doctor_result *r, enum doctor_level level, const struct pc_err *err)
{
	const char *next = strstr(err->msg, "; ");
	int len = (int)(next ? next - err->msg : (ptrdiff_t)strlen(err->msg));

	doctor_say(r, level, next ? next + 2 : NULL, "%.*s", len, err->msg);
}

void doctor_name(struct doctor_names *names, const char *fmt, ...)
{
	size_t used = strlen(names->text);
	va_list ap;

	names->n++;
	if (names->n > 4 || used + 48 > sizeof(names->text)) {
		if (!strstr(names->text, ", ..."))
			snprintf(names->text + used, sizeof(names->text) - used, ", ...");
		return;
	}
	if (used)
		used += (size_t)snprintf(names->text + used, sizeof(names->text) - used, ", ");
	va_start(ap, fmt);
	vsnprintf(names->text + used, sizeof(names->text) - used - 8, fmt, ap);
	va_end(ap);
}

bool doctor_say_gaps(const struct doctor *d, struct doctor_result *r, const char *kind)
{
	const struct guard *truth = &d->truth;
	bool failed = node_guard_count(truth, kind);
	const struct node_guard_gap *first = NULL;
	struct doctor_names names = {};

	for (size_t i = 0; i < truth->n_gaps; i++) {
		const struct node_guard_gap *gap = &truth->gaps[i];

		if (gap->unknown == failed || strcmp(gap->kind, kind) != 0)
			continue;
		first = first ?: gap;
		doctor_name(&names, "%s", gap->text);
	}
	if (first)
		doctor_say(r, failed ? DOCTOR_FAIL : DOCTOR_SKIP, first->next, "%s", names.text);
	return first;
}

int doctor_walk(const char *path, int (*fn)(void *arg, const char *cgroup), void *arg)
{
	char *const paths[] = {(char *)path, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *entry;
	int r = 0;

	if (!fts)
		return -errno;
	while (r == 0 && (entry = fts_read(fts)) != NULL)
		if (entry->fts_info == FTS_D)
			r = fn(arg, entry->fts_path);
	fts_close(fts);
	return r;
}

static void prepare(struct doctor *d)
{
	const struct guard_where where = {.pin_dir = d->options->pin_dir,
					  .kubepods = d->options->kubepods};
	struct guard *truth = &d->truth;

	if (node_layout_find_mount(&d->mount, &d->mount_err) < 0 || geteuid() != 0)
		return;
	if (node_guard_read(&where, d->mount, truth, &d->loaded_err) < 0)
		return;
	d->status = truth->status;
	d->kubepods = truth->kubepods;
	d->guard = truth->guarded;
	d->agent = truth->agent;
	d->loaded = true;
}

/* Why a check cannot be made; NULL: it can. */
static const char *hindrance(const struct doctor *d, unsigned needs)
{
	if (needs & NEED_ROOT && geteuid() != 0)
		return "needs root";
	if (needs & NEED_CGROUPS && !d->mount)
		return "the host's cgroups cannot be seen";
	if (needs & NEED_LOADED && !d->loaded)
		return "podcred is not loaded";
	if (needs & NEED_PROBE && d->options->no_probe)
		return "--no-probe";
	if (needs & NEED_PROBE && d->guard_fails)
		return "the guard is not in order";
	return NULL;
}

static void run_check(struct doctor *d, const struct check *check, struct doctor_result *r)
{
	const char *why = hindrance(d, check->needs);

	*r = (struct doctor_result){.name = check->name};
	if (why)
		doctor_say(r, DOCTOR_SKIP, NULL, "%s", why);
	else
		check->fn(d, r);
}

size_t doctor_run(const struct doctor_options *options,
		  void (*fn)(void *arg, const struct doctor_result *result), void *arg)
{
	struct doctor doctor = {.options = options};
	size_t failed = 0;

	prepare(&doctor);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct doctor_result result;

		run_check(&doctor, &checks[i], &result);
		failed += result.level == DOCTOR_FAIL;
		fn(arg, &result);
	}
	free(doctor.probe);
	node_guard_done(&doctor.truth);
	free(doctor.mount);
	return failed;
}
