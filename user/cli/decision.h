/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One decision of the BPF programs as a line, or as JSON. Pure. Strings that others choose (above
 * all a task's name) are sanitized, so they cannot control a terminal or fake a second line.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "podcred_maps.h"

#define DECISION_LABEL 336 /* namespace, slash, name */
#define DECISION_LINE  1024

struct decision {
	const struct podcred_event *event;
	const struct podcred_pod *pod; /* record of event->pod_cgroup_id; NULL: there is none */
	struct timespec time; /* CLOCK_REALTIME */
};

/* Copy text of at most n bytes; what is not printable ASCII becomes "?". Returns buf. */
const char *cli_text_clean(const char *text, size_t n, char *buf, size_t size);

/* "namespace/name", "uid ..." when it has no name, "cgroup ..." without a record. Returns buf. */
const char *cli_pod_label(const struct podcred_pod *pod, uint64_t cgroup_id, char *buf,
			  size_t size);

/* Without the newline. Returns buf. */
const char *cli_decision_line(const struct decision *decision, char *buf, size_t size);

/* Keys whose value is not known are left out. The keys are in podcred(8). */
json_t *cli_decision_json(const struct decision *decision);
