// SPDX-License-Identifier: Apache-2.0
#include "base/caps.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/file.h"

#define STATUS_SIZE 65536 /* it grows with the groups of the process */

static const struct {
	int cap;
	const char *name;
} names[] = {
	{CAP_BPF, "CAP_BPF"},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{CAP_PERFMON, "CAP_PERFMON"},
};

static int read_field(const char *status, const char *field, uint64_t *ret)
{
	const char *at = strstr(status, field);

	return at && sscanf(at + strlen(field), "%" SCNx64, ret) == 1 ? 0 : -EPROTO;
}

int caps_read(int pid, struct caps *ret)
{
	_cleanup_free_ char *status = NULL;
	struct caps caps;
	char path[64];
	int r;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/status");
	r = file_read(path, STATUS_SIZE, &status, NULL);
	if (r < 0)
		return r;
	/* a name cannot hold a newline there: the kernel escapes it */
	if (read_field(status, "\nCapPrm:", &caps.permitted) < 0 ||
	    read_field(status, "\nCapEff:", &caps.effective) < 0 ||
	    read_field(status, "\nCapBnd:", &caps.bounding) < 0)
		return -EPROTO;
	*ret = caps;
	return 0;
}

const char *caps_lacking(uint64_t want, char *buf, size_t size)
{
	const uint64_t bpf = CAPS_BIT(CAP_BPF) | CAPS_BIT(CAP_PERFMON) | CAPS_BIT(CAP_NET_ADMIN);
	struct caps self = {};
	size_t used = 0;

	buf[0] = '\0';
	if (caps_read(0, &self) < 0)
		return buf; /* not known to lack anything */
	if (self.effective & CAPS_BIT(CAP_SYS_ADMIN))
		self.effective |= bpf;
	for (size_t i = 0; i < ARRAY_SIZE(names) && used < size; i++)
		if (want & ~self.effective & CAPS_BIT(names[i].cap))
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
						 names[i].name);
	return buf;
}

void caps_bound(uint64_t keep)
{
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(keep & CAPS_BIT(cap)))
			prctl(PR_CAPBSET_DROP, cap);
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
					 SECBIT_NO_CAP_AMBIENT_RAISE |
					 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
	prctl(PR_SET_KEEPCAPS, 1);
}

int caps_keep(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};
	bool change = false;

	prctl(PR_SET_KEEPCAPS, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(__NR_capget, &header, data) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		uint32_t want = data[i].permitted & (uint32_t)(keep >> (32 * i));

		change |= data[i].permitted != want || data[i].effective != want ||
			  data[i].inheritable;
		data[i] = (struct __user_cap_data_struct){.permitted = want, .effective = want};
	}
	/* where there is nothing to give up, a filter of the service manager may forbid capset */
	return change && syscall(__NR_capset, &header, data) < 0 ? -errno : 0;
}
