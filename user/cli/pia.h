/* SPDX-License-Identifier: Apache-2.0 */
/* "podcred association": what the command line asks for, and where it is done. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "cli/cli.h"
#include "control/eks_answer.h"

enum pia_verb {
	PIA_CREATE,
	PIA_LIST,
	PIA_DESCRIBE,
	PIA_UPDATE,
	PIA_DELETE,
	PIA_TAG,
	PIA_UNTAG,
	PIA_LIST_TAGS,
	PIA_VERBS,
};

struct pia {
	enum pia_verb verb;
	const char *kubeconfig, *context, *file, *config; /* NULL: not given, as all of these */
	const char *name_space, *service_account;
	const char *id; /* of --association-id, or the end of --resource-arn */
	struct eks_cluster cluster; /* name: empty, not known; arn: NULL, not known */
	json_t *changes; /* of the spec, as a merge patch */
	bool discard_comments;
};

/* {"association": ...} and the like, as "aws eks" prints it. */
int pia_by_api(const struct pia *pia, json_t **ret, struct pc_err *err);
int pia_by_file(const struct pia *pia, json_t **ret, struct pc_err *err);

/* The spec with the changes, which is valid: by the parser that reads associations. */
int pia_change(const struct pia *pia, const json_t *spec, json_t **ret, struct pc_err *err);

/* What is shown of an association. id NULL: it has none. */
json_t *pia_show(const struct pia *pia, const json_t *object, bool summary);

/* One association, or its tags, as the verb wants it. Takes nothing. */
json_t *pia_answer(const struct pia *pia, const json_t *object);
