// SPDX-License-Identifier: Apache-2.0
#include "node/source.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/plural.h"

const char *node_source_kind_name(const struct podcred_source *source)
{
	static const char *const names[] = {[PODCRED_SOURCE_NONE] = "none",
					    [PODCRED_SOURCE_FILE] = "file",
					    [PODCRED_SOURCE_API] = "api"};

	return source->kind < sizeof(names) / sizeof(names[0]) ? names[source->kind] : "none";
}

static uint64_t seconds_since(uint64_t then_ns, uint64_t now_ns)
{
	return now_ns > then_ns ? (now_ns - then_ns) / CLOCK_S : 0;
}

static void describe_none(const struct podcred_source *source, char buf[NODE_SOURCE_TEXT])
{
	snprintf(buf, NODE_SOURCE_TEXT,
		 "none read yet%s%s: pods that were named before keep their names, others have "
		 "none, "
		 "and get no credentials",
		 *source->from ? " by " : "", source->from);
}

const char *node_source_text(const struct kern_status *status, char buf[NODE_SOURCE_TEXT])
{
	const struct podcred_source *source = &status->source;
	uint64_t as_of = status->runtime[PODCRED_RUNTIME_LIST_READ],
		 pods = status->runtime[PODCRED_RUNTIME_LIST_PODS],
		 skipped = status->runtime[PODCRED_RUNTIME_LIST_SKIPPED];
	int n;

	if (!as_of) {
		describe_none(source, buf);
		return buf;
	}
	if (source->kind == PODCRED_SOURCE_API)
		n = snprintf(buf, NODE_SOURCE_TEXT,
			     "%" PRIu64 " pod%s of node %s, by %s, as of %" PRIu64 " s ago", pods,
			     plural(pods), source->node, source->from,
			     seconds_since(as_of, status->read_ns));
	else
		n = snprintf(buf, NODE_SOURCE_TEXT, "%" PRIu64 " pod%s, read %" PRIu64 " s ago",
			     pods, plural(pods), seconds_since(as_of, status->read_ns));
	if (skipped)
		snprintf(buf + n, NODE_SOURCE_TEXT - (size_t)n,
			 "; %" PRIu64 " skipped: the resolver's log says why", skipped);
	return buf;
}

bool node_source_is_current(const struct kern_status *status)
{
	if (!kern_resolver_is_running(status) || !status->runtime[PODCRED_RUNTIME_LIST_READ])
		return false;
	return status->source.kind != PODCRED_SOURCE_API || status->source.in_touch;
}

const char *node_source_trouble(const struct kern_status *status, char buf[NODE_SOURCE_TEXT])
{
	const struct podcred_source *source = &status->source;

	if (!kern_resolver_is_running(status))
		return NULL;
	if (source->full)
		snprintf(buf, NODE_SOURCE_TEXT,
			 "podcred_pods is full: %" PRIu64
			 " of more than %d pods get no credentials; "
			 "run fewer pods on this node",
			 (uint64_t)source->full, PODCRED_PODS_MAX);
	else if (source->kind == PODCRED_SOURCE_NONE)
		snprintf(buf, NODE_SOURCE_TEXT,
			 "podcred resolve has nobody to ask for the names of pods; run it in a pod "
			 "of "
			 "the cluster, or with --kubeconfig FILE or --pods FILE");
	else if (source->kind == PODCRED_SOURCE_API && !source->in_touch)
		snprintf(buf, NODE_SOURCE_TEXT, "not in touch with %s for %" PRIu64 " s%s%s",
			 source->from, seconds_since(source->since_ns, status->read_ns),
			 *source->why ? ": " : "", source->why);
	else if (*source->why)
		snprintf(buf, NODE_SOURCE_TEXT, "%s", source->why);
	else
		return NULL;
	return buf;
}
