// SPDX-License-Identifier: Apache-2.0
/* Who the policy lets through to the real addresses, and by which of its rules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/plural.h"
#include "doctor/checks.h"
#include "kernel/maps.h"

struct let_through {
	struct podcred_pod *pods;
	size_t n, room, audited;
};

static void let_through_done(struct let_through *found)
{
	free(found->pods);
}

static int note_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct let_through *found = arg;

	(void)key;
	if (!(pod->flags & (PODCRED_POD_EXEMPT | PODCRED_POD_AUDIT)))
		return 0;
	if (found->n == found->room) {
		size_t room = found->room ? 2 * found->room : 16;
		struct podcred_pod *grown = reallocarray(found->pods, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		found->pods = grown;
		found->room = room;
	}
	found->pods[found->n++] = *pod;
	found->audited += !(pod->flags & PODCRED_POD_EXEMPT);
	return 0;
}

static int by_rule(const void *a, const void *b)
{
	const struct podcred_pod *one = a, *other = b;
	int r = (one->policy_line > other->policy_line) - (one->policy_line < other->policy_line);

	r = r ? r : strcmp(one->name_space, other->name_space);
	return r ? r : strcmp(one->name, other->name);
}

/* All of them, as far as a line has room. */
static void list_pods(const struct let_through *found, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < found->n; i++) {
		const struct podcred_pod *pod = &found->pods[i];

		if (size - used < 224) {
			snprintf(buf + used, size - used, ", and %zu more", found->n - i);
			return;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%s/%.120s (%s by line %u)",
					 used ? ", " : "", pod->name_space, pod->name,
					 kern_policy_name(pod->flags), pod->policy_line);
	}
}

void doctor_check_policy(struct doctor *d, struct doctor_result *r)
{
	_cleanup_(let_through_done) struct let_through found = {};
	_cleanup_close_ int fd = -EBADF;
	struct pc_err err = {};
	char list[sizeof(r->text) - 64];
	int ret;

	fd = kern_map_open(d->options->pin_dir, KERN_MAP_PODS, &err);
	ret = fd < 0 ? fd
		     : kern_map_each(fd, sizeof(__u64), sizeof(struct podcred_pod), note_pod,
				     &found);
	if (ret < 0) {
		doctor_say(r, DOCTOR_SKIP, NULL, "%s", err.msg[0] ? err.msg : strerror(-ret));
		return;
	}
	if (!found.n) {
		doctor_say(r, DOCTOR_OK, NULL, "nobody is let through to the real addresses");
		return;
	}
	qsort(found.pods, found.n, sizeof(*found.pods), by_rule);
	list_pods(&found, list, sizeof(list));
	doctor_say(r, found.audited ? DOCTOR_WARN : DOCTOR_OK,
		   found.audited ? "where the action is audit, make it redirect when podcred trace "
				   "reports no more"
				 : NULL,
		   "%zu pod%s may get the node's role: %s", found.n, plural(found.n), list);
}
