// SPDX-License-Identifier: Apache-2.0
/* What the kernel can do, and how it is set. */
#include "doctor/checks.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "kernel/features.h"

void doctor_check_kernel(struct doctor *d, struct doctor_result *r)
{
	struct doctor_names required = {}, optional = {}, unknown = {};
	const struct kern_feature *features;
	const char *why = "";
	size_t n;

	(void)d;
	features = kern_features(&n);
	for (size_t i = 0; i < n; i++) {
		if (features[i].present || features[i].spare)
			continue;
		if (features[i].unknown)
			why = features[i].why;
		doctor_name(features[i].unknown	   ? &unknown
			    : features[i].required ? &required
						   : &optional,
			    "%s (Linux %s)", features[i].name, features[i].since);
	}
	if (required.n)
		doctor_say(r, DOCTOR_FAIL,
			   "podcred features says why; it takes Linux 5.10 or later", "missing: %s",
			   required.text);
	else if (unknown.n)
		doctor_say(r, DOCTOR_SKIP, NULL, "cannot tell of %s: %s", unknown.text, why);
	else if (optional.n)
		doctor_say(r, DOCTOR_WARN, "podcred features says what is lost",
			   "it can do without, but: %s", optional.text);
	else
		doctor_say(r, DOCTOR_OK, NULL, "has all %zu features", n);
}

static int read_number(const char *path, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = file_read(path, 256, &text, NULL);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, UINT64_MAX, ret);
}

/* Both "all" and the interface's own must be set for the kernel to accept a source route. */
static void interfaces_with_source_route(struct doctor_names *names)
{
	uint64_t all = 0, one;
	glob_t found;

	read_number("/proc/sys/net/ipv4/conf/all/accept_source_route", &all);
	if (!all || glob("/proc/sys/net/ipv4/conf/*/accept_source_route", 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *name = found.gl_pathv[i] + strlen("/proc/sys/net/ipv4/conf/");
		int len = (int)strcspn(name, "/");

		if (strncmp(name, "all/", 4) != 0 && strncmp(name, "default/", 8) != 0 &&
		    read_number(found.gl_pathv[i], &one) == 0 && one)
			doctor_name(names, "%.*s", len, name);
	}
	globfree(&found);
}

/* A stamp takes some 200 bytes of the socket's option memory; clients use it as well. */
#define OPTMEM_LOW 8192

void doctor_check_sysctls(struct doctor *d, struct doctor_result *r)
{
	uint64_t optmem = UINT64_MAX, unprivileged = 2;
	struct doctor_names routes = {};

	(void)d;
	interfaces_with_source_route(&routes);
	read_number("/proc/sys/net/core/optmem_max", &optmem);
	read_number("/proc/sys/kernel/unprivileged_bpf_disabled", &unprivileged);
	if (optmem < OPTMEM_LOW)
		doctor_say(r, DOCTOR_WARN, "sysctl net.core.optmem_max=20480",
			   "net.core.optmem_max is %" PRIu64
			   ": sockets may have no room for the stamp (no_storage)",
			   optmem);
	else if (routes.n)
		doctor_say(r, DOCTOR_WARN, "sysctl net.ipv4.conf.all.accept_source_route=0",
			   "accept_source_route is on (%s): pods choose the way of their packets",
			   routes.text);
	else
		doctor_say(r, DOCTOR_OK, NULL, "no setting stands in podcred's way%s",
			   unprivileged ? "" : " (unprivileged BPF is allowed, it does no harm)");
}
