// SPDX-License-Identifier: Apache-2.0
/*
 * Nothing of a pod has been validated when it comes here, as the API server does that afterwards. So whatever is not as
 * it should be is left alone. Only ever are the env and volumeMounts of containers, the volumes, and one label changed; what a
 * newer Kubernetes adds to a pod is never seen here, and never lost.
 */
#include "control/inject.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define OPT_OUT_LABEL	"eks.amazonaws.com/skip-pod-identity-webhook"
#define SKIP_CONTAINERS "eks.amazonaws.com/skip-containers"
#define EXPIRATION	"eks.amazonaws.com/token-expiration"
#define MIRROR		"kubernetes.io/config.mirror"
#define DONE_LABEL	"eks.amazonaws.com/pod-identity"
#define DONE_LABEL_PATH "/metadata/labels/eks.amazonaws.com~1pod-identity"

#define FULL_URI     "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define RELATIVE_URI "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define TOKEN_FILE   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define ROLE	     "AWS_ROLE_ARN"
#define WEB_TOKEN    "AWS_WEB_IDENTITY_TOKEN_FILE"
#define STS_URL	     "AWS_ENDPOINT_URL_STS"
#define STATIC_KEY   "AWS_ACCESS_KEY_ID"

#define VARIABLES_MAX  3
#define CONTAINERS_MAX 512 /* more than that are left alone */

struct variable {
	const char *name, *value;
};

/* A style in full. */
struct recipe {
	struct variable variables[VARIABLES_MAX]; /* up to one without a name */
	const char *volume, *audience, *token; /* token: a file in the volume */
	const char *mount;
};

#define EKS_MOUNT "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
#define WEB_MOUNT "/var/run/secrets/eks.amazonaws.com/serviceaccount"

static struct recipe recipe_of(const struct injection *injection)
{
	bool ipv6 = injection->inject->ipv6;

	if (injection->inject->style == CONTROL_STYLE_WEB_IDENTITY)
		return (struct recipe){
			.variables = {{ROLE, injection->found->role_arn},
				      {WEB_TOKEN, WEB_MOUNT "/token"},
				      {STS_URL, ipv6 ? "http://[fd70:6f64:6372::83]"
						     : "http://169.254.170.83"}},
			.volume = "aws-iam-token",
			.audience = "sts.amazonaws.com",
			.token = "token",
			.mount = WEB_MOUNT,
		};
	return (struct recipe){
		.variables = {{FULL_URI, ipv6 ? "http://[fd00:ec2::23]/v1/credentials"
					      : "http://169.254.170.23/v1/credentials"},
			      {TOKEN_FILE, EKS_MOUNT "/eks-pod-identity-token"}},
		.volume = "eks-pod-identity-token",
		.audience = "pods.eks.amazonaws.com",
		.token = "eks-pod-identity-token",
		.mount = EKS_MOUNT,
	};
}

/* ---- reading what may be anything ---- */

const char *injection_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
	const char *value = injection_text(object, key);

	return value && !strcmp(value, text);
}

/* An array, or nothing where one may be put. */
static bool is_list(const json_t *value)
{
	return !value || json_is_null(value) || json_is_array(value);
}

static const json_t *entry_named(const json_t *list, const char *name)
{
	size_t i;
	const json_t *entry;

	json_array_foreach (list, i, entry)
		if (is_text(entry, "name", name))
			return entry;
	return NULL;
}

static const json_t *metadata_of(const json_t *pod, const char *key)
{
	return json_object_get(json_object_get(pod, "metadata"), key);
}

void injection_warn(struct injection *injection, const char *fmt, ...)
{
	char line[CONTROL_WHY_SIZE];
	va_list args;

	if (json_array_size(injection->warnings) >= WARNINGS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	json_array_append_new(injection->warnings, json_string(line));
}

/* ---- the pod ---- */

enum control_verdict injection_opted_out(const json_t *pod)
{
	const json_t *spec = json_object_get(pod, "spec");

	if (!json_is_object(spec))
		return CONTROL_UNFIT;
	if (json_object_get(metadata_of(pod, "labels"), OPT_OUT_LABEL))
		return CONTROL_OPTED_OUT;
	/* The API server lets no kubelet create one that has a token. */
	if (json_object_get(metadata_of(pod, "annotations"), MIRROR))
		return CONTROL_UNFIT;
	if (is_text(json_object_get(spec, "os"), "name", "windows") ||
	    is_text(json_object_get(spec, "nodeSelector"), "kubernetes.io/os", "windows"))
		return CONTROL_UNFIT;
	return CONTROL_INJECTED;
}

static void read_annotations(struct injection *injection)
{
	const json_t *annotations = metadata_of(injection->patch.document, "annotations");
	const char *text = injection_text(annotations, EXPIRATION);
	uint64_t seconds;

	injection->skipped = injection_text(annotations, SKIP_CONTAINERS);
	injection->expiration = injection->inject->expiration ?: CONTROL_EXPIRATION_MAX;
	if (!text)
		return;
	if (parse_u64(text, CONTROL_EXPIRATION_MAX, &seconds) < 0 ||
	    seconds < CONTROL_EXPIRATION_MIN)
		injection_warn(injection,
			       EXPIRATION " is not a number from %d to %d, and is ignored",
			       CONTROL_EXPIRATION_MIN, CONTROL_EXPIRATION_MAX);
	else
		injection->expiration = (unsigned)seconds;
}

static bool is_token_source(const json_t *source, const struct recipe *recipe)
{
	const json_t *token = json_object_get(source, "serviceAccountToken");

	return is_text(token, "audience", recipe->audience) &&
	       is_text(token, "path", recipe->token);
}

/* Whether a volume that has our name is ours: made the last time, or by whoever wrote the pod. */
static bool is_our_volume(const json_t *volume, const struct recipe *recipe)
{
	const json_t *sources = json_object_get(json_object_get(volume, "projected"), "sources"),
		     *source;
	size_t i;

	json_array_foreach (sources, i, source)
		if (is_token_source(source, recipe))
			return true;
	return false;
}

static void put_volume(struct injection *injection, const struct recipe *recipe)
{
	struct patch *patch = &injection->patch;
	const json_t *volumes =
		json_object_get(json_object_get(patch->document, "spec"), "volumes");
	json_t *volume;

	if (entry_named(volumes, recipe->volume))
		return;
	volume = json_pack("{s:s, s:{s:i, s:[{s:{s:s, s:i, s:s}}]}}", "name", recipe->volume,
			   "projected", "defaultMode", 0644, "sources", "serviceAccountToken",
			   "audience", recipe->audience, "expirationSeconds",
			   (int)injection->expiration, "path", recipe->token);
	if (json_is_array(volumes))
		patch_add(patch, volume, "/spec/volumes/-");
	else
		patch_add(patch, volume ? json_pack("[o]", volume) : NULL, "/spec/volumes");
}

static void put_label(struct injection *injection)
{
	struct patch *patch = &injection->patch;
	const json_t *metadata = json_object_get(patch->document, "metadata"),
		     *labels = json_object_get(metadata, "labels");

	if (!json_is_object(metadata) || json_object_get(labels, DONE_LABEL))
		return;
	if (json_is_object(labels))
		patch_add(patch, json_string("enabled"), DONE_LABEL_PATH);
	else if (!labels || json_is_null(labels))
		patch_add(patch, json_pack("{s:s}", DONE_LABEL, "enabled"), "/metadata/labels");
}

/* ---- a container ---- */

struct container {
	const char *list; /* of the pod: "containers" */
	size_t index;
	char label[96]; /* for people */
};

static const json_t *in_container(const struct injection *injection, const struct container *c,
				  const char *key)
{
	const json_t *spec = json_object_get(injection->patch.document, "spec");

	return json_object_get(json_array_get(json_object_get(spec, c->list), c->index), key);
}

/* Its name has not been validated, and is shown to people. */
static void name_container(struct container *c, const json_t *container)
{
	const char *name = injection_text(container, "name");

	if (name && k8s_is_label(name, strlen(name)))
		snprintf(c->label, sizeof(c->label), "container %s", name);
	else
		snprintf(c->label, sizeof(c->label), "%s[%zu]", c->list, c->index);
}

/* Whether name is one of a list with commas, as people write it. */
static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (list && *list) {
		size_t n;

		list += strspn(list, " ,");
		n = strcspn(list, " ,");
		if (n == len && n && !memcmp(list, name, n))
			return true;
		list += n;
	}
	return false;
}

static bool has(const struct injection *injection, const struct container *c, const char *name)
{
	return entry_named(in_container(injection, c, "env"), name);
}

/* The last one of a name counts, so all of them have to be right. */
static bool is_set(const struct injection *injection, const struct container *c,
		   const struct variable *variable)
{
	const json_t *env = in_container(injection, c, "env"), *entry;
	bool set = false;
	size_t i;

	json_array_foreach (env, i, entry) {
		if (!is_text(entry, "name", variable->name))
			continue;
		if (!is_text(entry, "value", variable->value))
			return false;
		set = true;
	}
	return set;
}

static bool has_all(const struct injection *injection, const struct container *c,
		    const struct recipe *recipe)
{
	for (size_t i = 0; i < VARIABLES_MAX && recipe->variables[i].name; i++)
		if (!is_set(injection, c, &recipe->variables[i]))
			return false;
	return true;
}

/* All of that name, from behind, so that those before keep their place. */
static void remove_variable(struct injection *injection, const struct container *c,
			    const char *name)
{
	const json_t *env = in_container(injection, c, "env");

	for (size_t i = json_array_size(env); i-- > 0;)
		if (is_text(json_array_get(env, i), "name", name))
			patch_remove(&injection->patch, "/spec/%s/%zu/env/%zu", c->list, c->index,
				     i);
}

static void add_entry(struct injection *injection, const struct container *c, const char *list,
		      json_t *entry)
{
	if (json_is_array(in_container(injection, c, list)))
		patch_add(&injection->patch, entry, "/spec/%s/%zu/%s/-", c->list, c->index, list);
	else
		patch_add(&injection->patch, entry ? json_pack("[o]", entry) : NULL,
			  "/spec/%s/%zu/%s", c->list, c->index, list);
}

static void add_variable(struct injection *injection, const struct container *c, const char *name,
			 const char *value)
{
	add_entry(injection, c, "env", json_pack("{s:s, s:s}", "name", name, "value", value));
}

/* Kubernetes compares paths as they are written; a container runtime does not. */
static bool is_path(const json_t *mount, const char *path)
{
	const char *at = injection_text(mount, "mountPath");
	size_t len = at ? strlen(at) : 0;

	while (len > 1 && at[len - 1] == '/')
		len--;
	return at && len == strlen(path) && !memcmp(at, path, len);
}

enum mounted {
	MOUNT_NONE,
	MOUNT_OURS,
	MOUNT_TAKEN,
};

static enum mounted mounted(const struct injection *injection, const struct container *c,
			    const struct recipe *recipe)
{
	const json_t *mounts = in_container(injection, c, "volumeMounts"), *mount;
	size_t i;

	json_array_foreach (mounts, i, mount)
		if (is_path(mount, recipe->mount))
			return is_text(mount, "name", recipe->volume) ? MOUNT_OURS : MOUNT_TAKEN;
	return MOUNT_NONE;
}

/* Both are needed for an SDK to use them; AWS_ROLE_ARN alone is often for the program itself. */
static bool has_irsa(const struct injection *injection, const struct container *c)
{
	return has(injection, c, ROLE) && has(injection, c, WEB_TOKEN);
}

/* A variable of the container's own that is meant to give it credentials: "" for none. */
static const char *own_setting(const struct injection *injection, const struct container *c,
			       const struct recipe *recipe)
{
	static const char *const others[] = {FULL_URI, RELATIVE_URI, TOKEN_FILE};

	for (size_t i = 0; i < VARIABLES_MAX && recipe->variables[i].name; i++)
		if (has(injection, c, recipe->variables[i].name))
			return recipe->variables[i].name;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (has(injection, c, others[i]))
			return others[i];
	return "";
}

/* Whether the container is to have the variables. Changes nothing. */
static bool is_wanted(struct injection *injection, const struct container *c,
		      const struct recipe *recipe)
{
	const char *own;

	if (has_all(injection, c, recipe))
		return true;
	if (has_irsa(injection, c)) {
		if (injection->inject->override_irsa)
			return true;
		injection_warn(injection,
			       "%s has IRSA's variables, which SDKs prefer to the association",
			       c->label);
		return false;
	}
	own = own_setting(injection, c, recipe);
	if (*own)
		injection_warn(injection, "%s sets %s itself, and is left as it is", c->label, own);
	return !*own;
}

/* The web-identity style has variables of IRSA's own, so those that are right already stay. */
static void remove_irsa(struct injection *injection, const struct container *c,
			const struct recipe *recipe)
{
	if (!injection->inject->override_irsa || !has_irsa(injection, c) ||
	    (injection->inject->style == CONTROL_STYLE_WEB_IDENTITY &&
	     has_all(injection, c, recipe)))
		return;
	injection_warn(injection,
		       "%s: IRSA's variables are taken out, as the association is to be used",
		       c->label);
	remove_variable(injection, c, ROLE);
	remove_variable(injection, c, WEB_TOKEN);
	if (injection->inject->style == CONTROL_STYLE_WEB_IDENTITY)
		remove_variable(injection, c, STS_URL);
}

static void put_variables(struct injection *injection, const struct container *c,
			  const struct recipe *recipe)
{
	const char *region = injection->inject->region;

	remove_irsa(injection, c, recipe);
	if (!*own_setting(injection, c, recipe))
		for (size_t i = 0; i < VARIABLES_MAX && recipe->variables[i].name; i++)
			add_variable(injection, c, recipe->variables[i].name,
				     recipe->variables[i].value);
	if (!region || has(injection, c, "AWS_REGION") || has(injection, c, "AWS_DEFAULT_REGION"))
		return;
	add_variable(injection, c, "AWS_REGION", region);
	add_variable(injection, c, "AWS_DEFAULT_REGION", region);
}

static void put_mount(struct injection *injection, const struct container *c,
		      const struct recipe *recipe)
{
	if (mounted(injection, c, recipe) == MOUNT_NONE)
		add_entry(injection, c, "volumeMounts",
			  json_pack("{s:s, s:b, s:s}", "name", recipe->volume, "readOnly", 1,
				    "mountPath", recipe->mount));
}

/* Whether it has, or gets, the variables. */
static bool do_container(struct injection *injection, const struct container *c,
			 const struct recipe *recipe)
{
	if (mounted(injection, c, recipe) == MOUNT_TAKEN) {
		injection_warn(injection, "%s mounts something else at %s, and is left as it is",
			       c->label, recipe->mount);
		return false;
	}
	if (!is_wanted(injection, c, recipe))
		return false;
	if (has(injection, c, STATIC_KEY))
		injection_warn(injection,
			       "%s sets " STATIC_KEY ", which SDKs prefer to the association",
			       c->label);
	put_variables(injection, c, recipe);
	put_mount(injection, c, recipe);
	return true;
}

/* What is found of one list of containers. */
struct tally {
	size_t done, skipped;
};

static void do_containers(struct injection *injection, const char *list,
			  const struct recipe *recipe, struct tally *tally)
{
	const json_t *containers =
		json_object_get(json_object_get(injection->patch.document, "spec"), list);

	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *container = json_array_get(containers, i);
		const char *name = injection_text(container, "name");
		struct container c = {.list = list, .index = i};

		if (!json_is_object(container) || !is_list(json_object_get(container, "env")) ||
		    !is_list(json_object_get(container, "volumeMounts")))
			continue;
		name_container(&c, container);
		if (name && is_listed(injection->skipped, name))
			tally->skipped++;
		else if (do_container(injection, &c, recipe))
			tally->done++;
	}
}

/* ---- all of it ---- */

static enum control_verdict unfit(struct injection *injection, const struct recipe *recipe)
{
	const json_t *spec = json_object_get(injection->patch.document, "spec"),
		     *volumes = json_object_get(spec, "volumes"),
		     *volume = entry_named(volumes, recipe->volume);

	if (!is_list(volumes) ||
	    json_array_size(json_object_get(spec, "containers")) > CONTAINERS_MAX ||
	    json_array_size(json_object_get(spec, "initContainers")) > CONTAINERS_MAX)
		return CONTROL_UNFIT;
	if (volume && !is_our_volume(volume, recipe)) {
		injection_warn(injection, "the pod has another volume %s, and is left as it is",
			       recipe->volume);
		return CONTROL_UNFIT;
	}
	if (recipe->variables[0].value[0])
		return CONTROL_INJECTED;
	injection_warn(injection, "the role of the association is not known");
	return CONTROL_UNFIT;
}

enum control_verdict injection_run(struct injection *injection)
{
	struct recipe recipe = recipe_of(injection);
	struct tally tally = {};
	enum control_verdict verdict = unfit(injection, &recipe);

	if (verdict != CONTROL_INJECTED)
		return verdict;
	if (*injection->found->trouble)
		injection_warn(injection, "the association gives no credentials: %s",
			       injection->found->trouble);
	read_annotations(injection);
	do_containers(injection, "containers", &recipe, &tally);
	do_containers(injection, "initContainers", &recipe, &tally);
	if (!tally.done)
		return tally.skipped ? CONTROL_OPTED_OUT : CONTROL_UNFIT;
	put_volume(injection, &recipe);
	put_label(injection);
	return patch_is_empty(&injection->patch) ? CONTROL_UNCHANGED : CONTROL_INJECTED;
}
