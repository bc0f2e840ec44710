// SPDX-License-Identifier: Apache-2.0
#include "cli/pia.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/timestamp.h"
#include "credentials/associations.h"
#include "kube/project.h"

static void merge(json_t *into, const json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)patch, key, value) {
		json_t *old = json_object_get(into, key);

		if (json_is_null(value))
			json_object_del(into, key);
		else if (json_is_object(value) && json_is_object(old))
			merge(old, value);
		else
			json_object_set_new(into, key, json_deep_copy(value));
	}
}

int pia_change(const struct pia *pia, const json_t *spec, json_t **ret, struct pc_err *err)
{
	_cleanup_json_ json_t *changed = json_deep_copy(spec);
	_cleanup_free_ char *text = NULL;
	struct cred_table *table;
	int r;

	merge(changed, pia->changes);
	if (!json_object_size(json_object_get(changed, "tags")))
		json_object_del(changed, "tags");
	text = json_dumps(changed, JSON_COMPACT);
	if (!text)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = cred_table_parse_spec("the association", CRED_ORIGIN_OBJECT, pia->name_space,
				  pia->service_account, text, strlen(text), &table, err);
	if (r < 0)
		return r;
	cred_table_unref(table);
	*ret = TAKE_PTR(changed);
	return 0;
}

/* People read it; programs get seconds by the API of EKS. */
static void show_time(json_t *association, const char *key)
{
	double seconds = json_number_value(json_object_get(association, key));
	char text[TIMESTAMP_SIZE];

	if (seconds > 0 && timestamp_format((time_t)seconds, text) == 0)
		json_object_set_new(association, key, json_string(text));
	else
		json_object_del(association, key);
}

static const char *metadata(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), key)) ?: "";
}

json_t *pia_show(const struct pia *pia, const json_t *object, bool summary)
{
	struct eks_object o = {.object = (json_t *)object};
	json_t *shown;

	snprintf(o.name_space, sizeof(o.name_space), "%s", metadata(object, "namespace"));
	snprintf(o.name, sizeof(o.name), "%s", metadata(object, "name"));
	if (*metadata(object, "uid"))
		cred_association_id(metadata(object, "uid"), o.id);
	shown = summary ? eks_summary(&pia->cluster, &o) : eks_association(&pia->cluster, &o);
	if (!pia->cluster.arn || !o.id[0])
		json_object_del(shown, "associationArn");
	if (!pia->cluster.arn && !json_object_get(json_object_get(object, "spec"), "externalId"))
		json_object_del(shown, "externalId");
	if (summary)
		return shown;
	show_time(shown, "createdAt");
	show_time(shown, "modifiedAt");
	return shown;
}

json_t *pia_answer(const struct pia *pia, const json_t *object)
{
	json_t *tags = json_object_get(json_object_get(object, "spec"), "tags");

	switch (pia->verb) {
	case PIA_TAG:
	case PIA_UNTAG:
		return json_object();
	case PIA_LIST_TAGS:
		return json_pack("{so}", "tags", tags ? json_deep_copy(tags) : json_object());
	default:
		return json_pack("{so}", "association", pia_show(pia, object, false));
	}
}
