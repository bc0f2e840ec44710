// SPDX-License-Identifier: Apache-2.0
#include "cli/migrate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"

#define KEY_SIZE  (K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE)
#define TEXT_SIZE 4096

int migrate_init(struct migrate *m)
{
	m->found = json_object();
	m->left_out = json_array();
	m->existing = json_object();
	m->open = json_object();
	return m->found && m->left_out && m->existing && m->open ? 0 : -ENOMEM;
}

void migrate_done(struct migrate *m)
{
	json_decref(m->found);
	json_decref(m->left_out);
	json_decref(m->existing);
	json_decref(m->open);
}

/* ---- what is found ---- */

/* A name that Kubernetes does not have would be one that somebody invents for the YAML. */
static bool make_key(const char *name_space, const char *account, char ret[KEY_SIZE])
{
	if (!k8s_is_label(name_space, strlen(name_space)) ||
	    !k8s_is_subdomain(account, strlen(account)))
		return false;
	snprintf(ret, KEY_SIZE, "%s/%s", name_space, account);
	return true;
}

__attribute__((format(printf, 2, 3))) static void leave_out(const struct migrate *m,
							    const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	json_array_append_new(m->left_out, json_string(line));
}

static void note(json_t *entry, const char *text)
{
	json_t *notes = json_object_get(entry, "notes");
	const json_t *old;
	size_t i;

	json_array_foreach (notes, i, old)
		if (!strcmp(json_string_value(old), text))
			return;
	json_array_append_new(notes, json_string(text));
}

static json_t *make_entry(const struct cred_association *a)
{
	json_t *entry = json_pack("{sss[]}", "roleArn", a->role_arn, "notes");

	if (a->external_id)
		json_object_set_new(entry, "externalId", json_string(a->external_id));
	if (a->disable_session_tags)
		json_object_set_new(entry, "disableSessionTags", json_true());
	return entry;
}

static bool is_same(const json_t *entry, const struct cred_association *a)
{
	const char *id = json_string_value(json_object_get(entry, "externalId"));

	return !strcmp(json_string_value(json_object_get(entry, "roleArn")), a->role_arn) &&
	       !strcmp(id ?: "", a->external_id ?: "");
}

/* The first one decides; the others are what the reader has to look at. */
static json_t *add(struct migrate *m, const char *key, const struct cred_association *a)
{
	json_t *entry = json_object_get(m->found, key);
	char text[TEXT_SIZE];

	if (!entry) {
		entry = make_entry(a);
		json_object_set_new(m->found, key, entry);
	} else if (!is_same(entry, a)) {
		snprintf(text, sizeof(text), "%s%s%s", a->role_arn,
			 a->external_id ? " with external id " : "", a->external_id ?: "");
		json_object_set_new(entry, "split", json_true());
		note(entry, text);
	}
	return entry;
}

/* ---- annotations ---- */

void migrate_existing(struct migrate *m, const char *name_space, const char *account)
{
	char key[KEY_SIZE];

	if (make_key(name_space, account, key))
		json_object_set_new(m->existing, key, json_true());
}

static int choose(const struct migrate *m, const char *name_space, const char *account,
		  const struct cred_annotations *annotations, struct cred_choice *ret)
{
	const struct cred_facts facts = {.namespace = name_space,
					 .service_account = account,
					 .annotations_known = CRED_KNOWN,
					 .annotations = *annotations};

	return cred_choose(&m->rules, &facts, ret);
}

void migrate_account(struct migrate *m, const char *name_space, const char *account,
		     const struct cred_annotations *annotations)
{
	_cleanup_(cred_choice_done) struct cred_choice choice = {};
	char key[KEY_SIZE];
	json_t *entry;

	if (!annotations->irsa_role || !make_key(name_space, account, key) ||
	    json_object_get(m->existing, key) ||
	    choose(m, name_space, account, annotations, &choice) < 0)
		return;
	if (!choice.association) {
		leave_out(m, "service account %s: %s", key, choice.why);
		return;
	}
	entry = add(m, key, choice.association);
	note(entry,
	     "from IRSA: the role trusts a token of the service account, and nobody else; see "
	     "podcred trust-policy");
	if (choice.association->audience)
		note(entry,
		     "the annotation has an audience of its own, which an object cannot have");
}

/* kube2iam without --namespace-restrictions lets each namespace have each role. */
static struct cred_annotations open_up(const struct migrate *m, const char *name_space,
				       const struct cred_annotations *annotations)
{
	struct cred_annotations opened = *annotations;

	if (!opened.allowed_roles && !opened.permitted) {
		opened.permitted = ".*";
		json_object_set_new(m->open, name_space, json_true());
	}
	return opened;
}

static void add_pod(struct migrate *m, const char *key, const char *pod,
		    const struct cred_association *a)
{
	const json_t *before = json_object_get(m->found, key);
	bool irsa = before && !json_object_get(before, "disableSessionTags");
	json_t *entry;

	if (irsa) {
		leave_out(m, "pod %.64s of service account %s: role %s, as IRSA comes first", pod,
			  key, a->role_arn);
		return;
	}
	entry = add(m, key, a);
	if (a->session_text)
		note(entry, "a pod names its session (kiam's session-name); it will be called "
			    "NAMESPACE.SERVICEACCOUNT.POD");
}

void migrate_pod(struct migrate *m, const char *name_space, const char *pod, const char *account,
		 const struct cred_annotations *annotations)
{
	_cleanup_(cred_choice_done) struct cred_choice choice = {};
	struct cred_annotations opened;
	char key[KEY_SIZE];

	if (!annotations->role || !make_key(name_space, account, key) ||
	    json_object_get(m->existing, key))
		return;
	opened = open_up(m, name_space, annotations);
	opened.irsa_role = NULL;
	if (choose(m, name_space, account, &opened, &choice) < 0)
		return;
	if (choice.association)
		add_pod(m, key, pod, choice.association);
	else
		leave_out(m, "pod %s/%.253s: %s", name_space, pod, choice.why);
}

/* ---- printing ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, up to NULL; for free(). */
static const char **sorted_keys(const json_t *object)
{
	const char **keys = calloc(json_object_size(object) + 1, sizeof(*keys));
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach ((json_t *)object, key, value)
		if (keys)
			keys[n++] = key;
	if (keys)
		qsort(keys, n, sizeof(*keys), by_text);
	return keys;
}

/* Names may look like numbers, and the path of a role may have quotes in it. */
static void print_quoted(const char *before, const char *text, const char *after, FILE *out)
{
	json_t *string = json_string(text);
	_cleanup_free_ char *quoted = json_dumps(string, JSON_ENCODE_ANY);

	json_decref(string);
	fprintf(out, "%s%s%s\n", before, quoted ?: "", after);
}

static void print_head(const char *kind, FILE *out)
{
	fprintf(out, "apiVersion: podcred.io/v1alpha1\nkind: %s\nmetadata:\n", kind);
}

static void print_association(const char *key, const json_t *entry, FILE *out)
{
	const char *id = json_string_value(json_object_get(entry, "externalId"));
	char name_space[K8S_LABEL_SIZE];
	const json_t *text;
	size_t i;

	snprintf(name_space, sizeof(name_space), "%.*s", (int)strcspn(key, "/"), key);
	fprintf(out, "---\n");
	json_array_foreach (json_object_get(entry, "notes"), i, text)
		fprintf(out, "# %s\n", json_string_value(text));
	print_head("PodIdentityAssociation", out);
	print_quoted("  namespace: ", name_space, "", out);
	print_quoted("  name: ", strchr(key, '/') + 1, "\nspec:", out);
	print_quoted("  roleArn: ", json_string_value(json_object_get(entry, "roleArn")), "", out);
	if (id)
		print_quoted("  externalId: ", id, "", out);
	if (json_object_get(entry, "disableSessionTags"))
		fprintf(out, "  disableSessionTags: true\n");
}

static void print_split(const char *key, const json_t *entry, FILE *out)
{
	const json_t *text;
	size_t i;

	fprintf(out,
		"# Service account %s has pods with several roles; give each role a service "
		"account "
		"of its own:\n#   %s\n",
		key, json_string_value(json_object_get(entry, "roleArn")));
	json_array_foreach (json_object_get(entry, "notes"), i, text)
		fprintf(out, "#   %s\n", json_string_value(text));
}

static void print_policy(const struct migrate *m, const char *name_space, const json_t *roles,
			 FILE *out)
{
	_cleanup_free_ const char **keys = sorted_keys(roles);

	fprintf(out, "---\n");
	if (json_object_get(m->open, name_space))
		fprintf(out, "# Nothing restricted this namespace: are these the roles that it is "
			     "to have?\n");
	print_head("PodIdentityRolePolicy", out);
	print_quoted("  name: ", name_space, "\nspec:", out);
	print_quoted("  namespaces: [", name_space, "]\n  roleArns:", out);
	for (size_t i = 0; keys && keys[i]; i++)
		print_quoted("    - ", keys[i], "", out);
}

/* namespace -> role -> true */
static void collect_role(json_t *policies, const char *key, const json_t *entry)
{
	char name_space[K8S_LABEL_SIZE];
	json_t *roles;

	snprintf(name_space, sizeof(name_space), "%.*s", (int)strcspn(key, "/"), key);
	roles = json_object_get(policies, name_space);
	if (!roles) {
		roles = json_object();
		json_object_set_new(policies, name_space, roles);
	}
	json_object_set_new(roles, json_string_value(json_object_get(entry, "roleArn")),
			    json_true());
}

static void print_policies(const struct migrate *m, const json_t *policies, FILE *out)
{
	_cleanup_free_ const char **keys = sorted_keys(policies);

	for (size_t i = 0; keys && keys[i]; i++)
		print_policy(m, keys[i], json_object_get(policies, keys[i]), out);
}

size_t migrate_print(const struct migrate *m, FILE *out)
{
	_cleanup_free_ const char **keys = sorted_keys(m->found);
	json_t *policies = json_object();
	size_t left_out = json_array_size(m->left_out), i;
	const json_t *line;

	for (i = 0; keys && keys[i]; i++) {
		const json_t *entry = json_object_get(m->found, keys[i]);

		if (json_object_get(entry, "split")) {
			print_split(keys[i], entry, out);
			left_out++;
			continue;
		}
		print_association(keys[i], entry, out);
		collect_role(policies, keys[i], entry);
	}
	print_policies(m, policies, out);
	json_decref(policies);
	json_array_foreach (m->left_out, i, line)
		fprintf(out, "# Left out: %s\n", json_string_value(line));
	return left_out;
}
