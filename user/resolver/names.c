// SPDX-License-Identifier: Apache-2.0
/* Where the pods' names come from, and what others may know of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kernel/maps.h"
#include "resolver/resolver.h"

enum resolver_source_kind resolver_source_kind(const struct resolver_source *source)
{
	if (source->pods)
		return RESOLVER_SOURCE_FILE;
	if (source->kubeconfig || getenv("KUBERNETES_SERVICE_HOST"))
		return RESOLVER_SOURCE_API;
	return RESOLVER_SOURCE_NONE;
}

static int refuse_beside_file(const struct resolver_source *source, struct pc_err *err)
{
	const struct {
		const char *option, *value;
	} others[] = {{"--kubeconfig", source->kubeconfig},
		      {"--context", source->context},
		      {"--node", source->node}};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i].value)
			return pc_err_set(err, -EINVAL,
					  "--pods and %s are both given; names come from a file or "
					  "from the Kubernetes API: leave one out",
					  others[i].option);
	return 0;
}

int resolver_source_check(const struct resolver_source *source, struct pc_err *err)
{
	if (source->context && !source->kubeconfig && !source->pods)
		return pc_err_set(err, -EINVAL,
				  "--context names a context of a kubeconfig; give --kubeconfig "
				  "FILE, too");
	switch (resolver_source_kind(source)) {
	case RESOLVER_SOURCE_FILE:
		return refuse_beside_file(source, err);
	case RESOLVER_SOURCE_API:
		return resolver_api_check(source, err);
	case RESOLVER_SOURCE_NONE:
		break;
	}
	if (source->node)
		return pc_err_set(err, -EINVAL,
				  "--node, but no Kubernetes API to ask for its pods; give "
				  "--kubeconfig FILE, or run in a pod");
	return 0;
}

/* ---- for status, metrics, doctor and explain, which may be asked of another process ---- */

void resolver_source_retell(struct resolver *res)
{
	if (res->maps.source >= 0)
		kern_source_write(res->maps.source, &res->source);
}

void resolver_source_tell(struct resolver *res, size_t pods, size_t skipped, uint64_t as_of_ns)
{
	int fd = res->maps.runtime;

	kern_runtime_write(fd, PODCRED_RUNTIME_LIST_PODS, pods);
	kern_runtime_write(fd, PODCRED_RUNTIME_LIST_SKIPPED, skipped);
	kern_runtime_write(fd, PODCRED_RUNTIME_LIST_READ, as_of_ns);
	resolver_source_retell(res);
}

/* ---- life ---- */

int resolver_names_start(struct resolver *res, struct pc_err *err)
{
	const struct resolver_source *source = &res->options->source;
	enum resolver_source_kind kind = resolver_source_kind(source);

	if (kind == RESOLVER_SOURCE_FILE)
		return resolver_file_start(res, err);
	if (kind == RESOLVER_SOURCE_API)
		return resolver_api_start(res, err);
	log_warn(
		"no --pods FILE, no --kubeconfig FILE, and not in a pod of a cluster: pods have no "
		"names, so no caller gets credentials");
	resolver_source_tell(res, 0, 0, 0);
	return 0;
}

void resolver_names_reload(struct resolver *res)
{
	if (resolver_source_kind(&res->options->source) == RESOLVER_SOURCE_FILE)
		resolver_file_reload(res);
}

void resolver_names_stop(struct resolver *res)
{
	resolver_file_stop(res);
	resolver_api_stop(res);
}
