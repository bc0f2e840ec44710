/* SPDX-License-Identifier: Apache-2.0 */
/* One Pod object, as the Kubernetes API writes it, to what identity needs of it. */
#pragma once

#include <jansson.h>

#include "identity/pod.h"
#include "kube/project.h"

struct pc_err;

/* What the members of a Pod have to hold for kube_pod_json_decode(); resourceVersion and nodeName are
 * for others. */
extern const struct project_shape kube_pod_json_metadata[], kube_pod_json_spec[],
	kube_pod_json_status[];

/* Longest string that a message repeats, with its quotes, and NUL. */
#define POD_JSON_QUOTE_SIZE 72

/* Somebody's string for a one-line message: quoted, cut, no control characters. Returns buf. */
const char *kube_pod_json_quote(const char *text, char buf[POD_JSON_QUOTE_SIZE]);

/*
 * Required: metadata.uid, .namespace, .name. spec.serviceAccountName is "default" when missing or
 * empty, as the API server has it, but none for a static pod (a mirror annotation, or a uid of 32 hex
 * digits), which can have no service account. config_hash is that of a mirror pod alone: the
 * annotation kubernetes.io/config.mirror, else config.hash; one that is no hash is left out.
 * running is what status.containerStatuses says. Labels that are no mapping of strings, or larger than
 * POD_LABELS_MAX, make labels_known false. The caller has pod_name_done() to call.
 * -EINVAL: err says field, cause, next step.
 */
int kube_pod_json_decode(const json_t *pod, struct pod_name *ret, struct pc_err *err);
