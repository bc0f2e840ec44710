// SPDX-License-Identifier: Apache-2.0
/*
 * Foreign programs in our hooks. With the multi flag, at our level or above, they run after ours
 * and do no harm. Without it, one of the two is silently switched off. Below our level they run
 * first, and may rewrite an address before we see it.
 */
#include "doctor/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/status.h"

struct survey {
	const struct doctor *d;
	bool agent_side, below;
	const char *cgroup; /* under survey */
	struct doctor_names twins, exclusive, overridden, first;
	size_t welcome, unnamed;
	int error; /* of the last cgroup that could not be asked */
};

static bool is_ours(const struct survey *s, uint32_t id)
{
	for (size_t i = 0; i < s->d->status.n_links; i++)
		if (s->d->status.links[i].prog_id == id)
			return true;
	/* attached since then, by the resolver */
	return kern_is_own_program(s->d->options->pin_dir, id);
}

/* Below us: what can change neither an address nor an answer. systemd filters the packets of units
 * there (sd_fw_egress, sd_fw_ingress), and may only drop them. */
static bool is_harmless(const char *hook)
{
	return !strncmp(hook, "cgroup_skb/", strlen("cgroup_skb/")) || !strcmp(hook, "sockops");
}

static int on_program(void *arg, const struct kern_attached *attached)
{
	struct survey *s = arg;
	struct doctor_names *names;

	if (is_ours(s, attached->id))
		return 0;
	if (!strncmp(attached->name, "podcred_", strlen("podcred_")))
		names = &s->twins;
	else if (s->below && !is_harmless(attached->hook))
		names = &s->first;
	else if (!s->below && attached->sharing == KERN_EXCLUSIVE)
		names = &s->exclusive;
	else if (!s->below && attached->sharing == KERN_OVERRIDABLE)
		names = &s->overridden;
	else {
		s->welcome++;
		s->unnamed += !attached->name[0];
		return 0;
	}
	doctor_name(names, "%s (id %" PRIu32 ", %s on %s)",
		    attached->name[0] ? attached->name : "program", attached->id, attached->hook,
		    s->cgroup);
	return 0;
}

static int on_cgroup(void *arg, const char *cgroup)
{
	struct survey *s = arg;
	const char *own = s->agent_side ? s->d->agent : s->d->guard;

	s->cgroup = cgroup;
	if (!s->below || strcmp(cgroup, own) != 0) {
		int r = kern_attached_each(cgroup, s->agent_side, on_program, s);

		if (r == -EPERM)
			s->error = r;
	}
	return 0;
}

/* From own up to the root of the hierarchy. */
static void survey_above(struct survey *s, const char *own)
{
	_cleanup_free_ char *path = strdup(own);
	size_t root = strlen(s->d->mount);

	while (path && strlen(path) >= root) {
		char *slash;

		on_cgroup(s, path);
		slash = strrchr(path, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

void doctor_check_foreign(struct doctor *d, struct doctor_result *r)
{
	struct survey s = {.d = d};

	for (int i = 0; i < 2; i++) {
		const char *own = i ? d->agent : d->guard;

		s.agent_side = i;
		s.below = false;
		survey_above(&s, own);
		s.below = true;
		doctor_walk(own, on_cgroup, &s);
	}
	if (s.twins.n)
		doctor_say(r, DOCTOR_FAIL,
			   "podcred unload with the --pin-dir of the one that is not wanted",
			   "another podcred is attached as well: %s; one of the two sees addresses "
			   "that the other has rewritten",
			   s.twins.text);
	else if (s.exclusive.n)
		doctor_say(
			r, DOCTOR_FAIL,
			"attach it with the multi flag (BPF_F_ALLOW_MULTI), or detach it",
			"without the multi flag: %s; the next podcred load cannot attach beside it",
			s.exclusive.text);
	else if (s.first.n)
		doctor_say(r, DOCTOR_WARN,
			   "find out what it does to addresses; podcred decides on what it leaves",
			   "below the guarded cgroup, so run first: %s", s.first.text);
	else if (s.overridden.n)
		doctor_say(r, DOCTOR_WARN,
			   "attach it with the multi flag (BPF_F_ALLOW_MULTI), if it is needed",
			   "switched off for pods by podcred's links (ALLOW_OVERRIDE): %s",
			   s.overridden.text);
	else if (s.error)
		doctor_say(r, DOCTOR_SKIP, NULL, "cannot tell: asking takes CAP_NET_ADMIN");
	else if (s.unnamed)
		doctor_say(r, DOCTOR_SKIP, NULL,
			   "cannot tell whether another podcred is among %zu that share: to ask "
			   "for names takes CAP_SYS_ADMIN",
			   s.unnamed);
	else
		doctor_say(r, DOCTOR_OK, NULL, "none in the way, %zu that share", s.welcome);
}
