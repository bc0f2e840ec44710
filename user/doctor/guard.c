// SPDX-License-Identifier: Apache-2.0
/* Is what was loaded still there, and does the kernel run it? */
#include "doctor/checks.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"

void doctor_check_guard(struct doctor *d, struct doctor_result *r)
{
	d->guard_fails = true;
	if (!d->loaded) {
		doctor_say_err(r, DOCTOR_FAIL, &d->loaded_err);
		return;
	}
	d->guard_fails = doctor_say_gaps(d, r, "program");
	if (!d->guard_fails)
		doctor_say(r, DOCTOR_OK, NULL, "the kernel runs all programs on %s", d->guard);
}

static uint64_t id_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* The QoS cgroup that the programs take for something else: all its pods count as one. */
static const char *unknown_qos(const struct doctor *d)
{
	for (int i = 0; i < 2; i++) {
		const char *name = d->status.config.qos_name[i];
		_cleanup_free_ char *path = NULL;
		uint64_t id;

		if (asprintf(&path, "%s/%s", d->kubepods, name) < 0)
			return NULL;
		id = id_of(path);
		if (id && id != d->status.runtime[PODCRED_RUNTIME_BURSTABLE + i])
			return name;
	}
	return NULL;
}

void doctor_check_kubepods(struct doctor *d, struct doctor_result *r)
{
	const char *qos;

	if (doctor_say_gaps(d, r, "kubepods"))
		return;
	qos = unknown_qos(d);
	if (qos)
		doctor_say(r, DOCTOR_FAIL, "start podcred resolve",
			   "%s/%s is not known to the programs: its pods count as one", d->kubepods,
			   qos);
	else
		doctor_say(r, DOCTOR_OK, NULL, "%s is the one that was loaded", d->kubepods);
}

void doctor_check_other_load(struct doctor *d, struct doctor_result *r)
{
	if (!doctor_say_gaps(d, r, "other-load"))
		doctor_say(r, DOCTOR_OK, NULL,
			   "no other load of podcred is attached for these pods");
}

void doctor_check_outside(struct doctor *d, struct doctor_result *r)
{
	if (!doctor_say_gaps(d, r, "outside") && !doctor_say_gaps(d, r, "absent"))
		doctor_say(r, DOCTOR_OK, NULL, "no pod runs outside of %s", d->kubepods);
}

/* Each holds memory, and slows down every walk of the hierarchy. */
#define DYING_MANY 20000

void doctor_check_dying(struct doctor *d, struct doctor_result *r)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *found = NULL;
	uint64_t dying = 0;

	if (asprintf(&path, "%s/cgroup.stat", d->mount) >= 0 &&
	    file_read(path, 65536, &text, NULL) == 0)
		found = strstr(text, "nr_dying_descendants ");
	if (!found || sscanf(found, "nr_dying_descendants %" SCNu64, &dying) != 1)
		doctor_say(r, DOCTOR_SKIP, NULL, "cgroup.stat does not say");
	else if (dying > DYING_MANY)
		doctor_say(r, DOCTOR_WARN,
			   "something keeps them, often page cache or sockets; drain and reboot "
			   "the node when it grows on",
			   "%" PRIu64 " removed cgroups are still held by the kernel", dying);
	else
		doctor_say(r, DOCTOR_OK, NULL, "%" PRIu64 " removed cgroups are still held", dying);
}

void doctor_check_pins(struct doctor *d, struct doctor_result *r)
{
	char *const paths[] = {(char *)d->options->pin_dir, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	struct doctor_names names = {};
	FTSENT *entry;
	size_t n = 0;

	while (fts && (entry = fts_read(fts)) != NULL) {
		if (entry->fts_info != FTS_D && entry->fts_info != FTS_F &&
		    entry->fts_info != FTS_DEFAULT)
			continue;
		n++;
		if (entry->fts_statp->st_mode & (S_IWGRP | S_IWOTH) || entry->fts_statp->st_uid)
			doctor_name(&names, "%s", entry->fts_path);
	}
	if (fts)
		fts_close(fts);
	if (names.n)
		doctor_say(r, DOCTOR_FAIL, "chown root and chmod go-w them, then load again",
			   "others than root can change %s", names.text);
	else if (n)
		doctor_say(r, DOCTOR_OK, NULL, "only root can change %s", d->options->pin_dir);
	else
		doctor_say(r, DOCTOR_SKIP, NULL, "podcred is not loaded");
}
