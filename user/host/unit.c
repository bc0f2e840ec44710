// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "host/internal.h"

#define MARK "# Written by podcred host install; podcred host uninstall removes it.\n"

/* Whatever starts pods on a node: the kubelet, or what it is part of. */
#define KUBELETS                                                                                   \
	"kubelet.service k3s.service k3s-agent.service rke2-server.service rke2-agent.service "    \
	"k0scontroller.service k0sworker.service snap.microk8s.daemon-kubelite.service"

/* The target for a boot as usual, the others for a kubelet that something else starts. */
const char *const host_unit_wanted_by[] = {
	"multi-user.target",
	"kubelet.service",
	"k3s.service",
	"k3s-agent.service",
	"rke2-server.service",
	"rke2-agent.service",
	"k0scontroller.service",
	"k0sworker.service",
	"snap.microk8s.daemon-kubelite.service",
	NULL,
};

bool host_unit_is_ours(int fd)
{
	char buf[8192];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return strstr(buf, MARK);
}

/* One word of a command line: systemd expands % and $, and splits at blanks. */
static void add_word(struct text *line, const char *word)
{
	text_add(line, line->len ? " \"" : "\"");
	for (; *word; word++) {
		const char *twin = *word == '%' || *word == '$'	   ? (*word == '%' ? "%" : "$")
				   : *word == '"' || *word == '\\' ? "\\"
								   : "";

		text_addf(line, "%s%c", twin, *word);
	}
	text_add(line, "\"");
}

static void add_path(struct text *line, const struct host_options *options, const char *below,
		     const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" HOST_CURRENT "/%s%s", options->dir, below, name);
	add_word(line, path);
}

static int take(struct text *text, char **ret)
{
	int r = text_error(text);

	if (r == 0 && !(*ret = text_string(text)))
		r = -ENOMEM;
	text_done(text);
	return r;
}

int host_unit_command(const struct host_options *options, const struct host_files *files,
		      char **ret)
{
	struct text line = {};

	add_path(&line, options, "lib/", files->loader);
	add_word(&line, "--inhibit-cache");
	add_word(&line, "--library-path");
	add_path(&line, options, "lib", "");
	add_path(&line, options, "bin/", "podcred");
	add_word(&line, "load");
	if (options->config) {
		add_word(&line, "--config");
		add_path(&line, options, "", HOST_CONFIG);
	}
	for (const char *const *word = options->load; word && *word; word++)
		add_word(&line, *word);
	return take(&line, ret);
}

/* As deploy/systemd/podcred-load.service, which says why; but for a node whose agent is a pod. */
int host_unit_text(const struct host_options *options, const struct host_files *files, char **ret)
{
	_cleanup_free_ char *command = NULL;
	int r = host_unit_command(options, files, &command);

	if (r < 0)
		return r;
	r = asprintf(ret,
		     MARK
		     "[Unit]\n"
		     "Description=podcred: guard the pods' way to the credential services\n"
		     "RequiresMountsFor=/sys/fs/bpf %s\n"
		     "Before=" KUBELETS "\n"
		     "Before=containerd.service crio.service docker.service cri-docker.service\n"
		     "\n"
		     "[Service]\n"
		     "Type=oneshot\n"
		     "RemainAfterExit=yes\n"
		     "TimeoutStartSec=5min\n"
		     "SyslogIdentifier=podcred-load\n"
		     "ExecStart=%s\n"
		     "ExecReload=%s\n"
		     "CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_DAC_READ_SEARCH "
		     "CAP_DAC_OVERRIDE CAP_SYS_ADMIN CAP_SYS_PTRACE\n"
		     "NoNewPrivileges=yes\n"
		     "ProtectSystem=strict\n"
		     "ProtectHome=read-only\n"
		     "RestrictAddressFamilies=AF_NETLINK\n"
		     "MemoryDenyWriteExecute=yes\n"
		     "LockPersonality=yes\n"
		     "RestrictRealtime=yes\n"
		     "RestrictSUIDSGID=yes\n"
		     "SystemCallArchitectures=native\n"
		     "\n"
		     "[Install]\n"
		     "WantedBy=multi-user.target " KUBELETS "\n",
		     options->dir, command, command);
	return r < 0 ? -ENOMEM : 0;
}
