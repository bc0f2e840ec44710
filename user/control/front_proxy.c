// SPDX-License-Identifier: Apache-2.0
#include "control/front_proxy.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "http/tls.h"
#include "kube/objects.h"
#include "kube/project.h"

#define EVERY_NS (60 * CLOCK_S)
#define RETRY_NS (2 * CLOCK_S)

/* Lists of header names, in the ConfigMap and here. */
enum names {
	NAMES_ALLOWED, /* of certificates; empty: any that the authority has issued */
	NAMES_USER,
	NAMES_UID,
	NAMES_GROUP,
	NAMES_EXTRA, /* prefixes */
	NAMES,
};

static const char *const keys[NAMES] = {
	[NAMES_ALLOWED] = "requestheader-allowed-names",
	[NAMES_USER] = "requestheader-username-headers",
	[NAMES_UID] = "requestheader-uid-headers",
	[NAMES_GROUP] = "requestheader-group-headers",
	[NAMES_EXTRA] = "requestheader-extra-headers-prefix",
};

struct control_front_proxy {
	struct kube_client *client;
	struct http_tls *tls;
	struct control_front_proxy_events events;
	struct loop_timer *timer;
	struct kube_object_call *call;
	char *authority; /* that is believed; NULL: none */
	json_t *names[NAMES]; /* arrays of texts; NULL: not said */
	bool known, failing;
};

static const struct kube_kind config_map = {
	.version = "v1", .plural = "configmaps", .kind = "ConfigMap", .namespaced = true};
static const struct project_shape data_members[] = {{.key = "requestheader-client-ca-file"},
						    {.key = "requestheader-allowed-names"},
						    {.key = "requestheader-username-headers"},
						    {.key = "requestheader-uid-headers"},
						    {.key = "requestheader-group-headers"},
						    {.key = "requestheader-extra-headers-prefix"},
						    {}};
static const struct project_shape members[] = {{.key = "data", .members = data_members}, {}};
static const struct project_shape shape = {.members = members};

/* ---- whom to believe ---- */

static void say(const struct control_front_proxy *p, bool bad, const char *line)
{
	p->events.said(p->events.arg, bad, line);
}

static void say_unreadable(const struct control_front_proxy *p, const char *key)
{
	char line[200];

	snprintf(line, sizeof(line),
		 "%s of ConfigMap kube-system/extension-apiserver-authentication is no list of "
		 "texts; what was "
		 "known before stays in force",
		 key);
	say(p, true, line);
}

static bool is_list_of_texts(const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		if (!json_is_string(name))
			return false;
	return json_is_array(names);
}

/* An array of texts; NULL: there is none. False: there is something else. */
static bool read_names(const json_t *data, const char *key, json_t **ret)
{
	const char *text = json_string_value(json_object_get(data, key));

	*ret = text && *text ? json_loads(text, 0, NULL) : NULL;
	return !text || !*text || is_list_of_texts(*ret);
}

/* All of them or none: an empty list of allowed names is everybody. */
static bool read_all_names(struct control_front_proxy *p, const json_t *data)
{
	json_t *names[NAMES];
	const char *bad = NULL;

	for (size_t i = 0; i < NAMES; i++)
		if (!read_names(data, keys[i], &names[i]))
			bad = keys[i];
	for (size_t i = 0; i < NAMES; i++) {
		json_decref(bad ? names[i] : p->names[i]);
		if (!bad)
			p->names[i] = names[i];
	}
	if (bad && !p->failing)
		say_unreadable(p, bad);
	return !bad;
}

static void believe_authority(struct control_front_proxy *p, const char *authority)
{
	struct pc_err err = {};

	if (authority ? p->authority && !strcmp(authority, p->authority) : !p->authority)
		return;
	if (http_tls_set_clients(p->tls, authority, &err) < 0) {
		say(p, true, err.msg);
		return;
	}
	free(p->authority);
	p->authority = authority ? strdup(authority) : NULL;
	say(p, false,
	    authority ? "requests that the API server passes on are believed"
		      : "the API server has no proxy whose requests could be believed");
}

static bool believe(struct control_front_proxy *p, const json_t *data)
{
	if (!read_all_names(p, data))
		return false;
	p->known = true;
	believe_authority(p,
			  json_string_value(json_object_get(data, "requestheader-client-ca-file")));
	return true;
}

static void on_map(void *arg, const struct kube_object_result *result)
{
	struct control_front_proxy *p = arg;
	bool ok = result->outcome == KUBE_DONE || result->outcome == KUBE_NOT_FOUND;

	p->call = NULL;
	if (ok)
		ok = believe(p, json_object_get(result->object, "data"));
	else if (!p->failing)
		say(p, true, result->why);
	p->failing = !ok;
	loop_timer_after(p->timer, ok ? EVERY_NS : RETRY_NS);
}

static void ask_map(void *arg)
{
	struct control_front_proxy *p = arg;
	const struct kube_object_request request = {
		.verb = KUBE_GET,
		.kind = &config_map,
		.name_space = "kube-system",
		.name = "extension-apiserver-authentication",
		.shape = &shape,
		.done = on_map,
		.arg = p,
	};

	if (kube_object_start(p->client, &request, &p->call, NULL) < 0)
		loop_timer_after(p->timer, RETRY_NS);
}

struct control_front_proxy *control_front_proxy_free(struct control_front_proxy *p)
{
	if (!p)
		return NULL;
	kube_object_cancel(p->call);
	loop_timer_free(p->timer);
	for (size_t i = 0; i < NAMES; i++)
		json_decref(p->names[i]);
	free(p->authority);
	free(p);
	return NULL;
}

int control_front_proxy_new(struct loop *loop, struct kube_client *client, struct http_tls *tls,
			    const struct control_front_proxy_events *events,
			    struct control_front_proxy **ret)
{
	struct control_front_proxy *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->client = client;
	p->tls = tls;
	p->events = *events;
	if (loop_timer_new(loop, ask_map, p, &p->timer) < 0) {
		free(p);
		return -ENOMEM;
	}
	loop_timer_after(p->timer, 0);
	*ret = p;
	return 0;
}

bool control_front_proxy_is_ready(const struct control_front_proxy *p)
{
	return p->known;
}

/* ---- who asks ---- */

static bool is_proxy(const struct control_front_proxy *p, const struct http_ask *ask)
{
	const json_t *allowed = p->names[NAMES_ALLOWED];
	const json_t *name;
	size_t i;

	if (!p->known || !p->authority || !ask->peer)
		return false;
	json_array_foreach (allowed, i, name)
		if (!strcmp(json_string_value(name), ask->peer))
			return true;
	return json_array_size(allowed) == 0;
}

static bool is_named(const json_t *names, const char *fallback, const char *field)
{
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		if (!strcasecmp(json_string_value(name), field))
			return true;
	return json_array_size(names) == 0 && !strcasecmp(fallback, field);
}

/* What is behind the prefix, or NULL. */
static const char *extra_key(const json_t *prefixes, const char *field)
{
	static const char fallback[] = "X-Remote-Extra-";
	const json_t *name;
	size_t i;

	json_array_foreach (prefixes, i, name) {
		const char *prefix = json_string_value(name);

		if (*prefix && !strncasecmp(prefix, field, strlen(prefix)))
			return field + strlen(prefix);
	}
	return json_array_size(prefixes) == 0 && !strncasecmp(fallback, field, strlen(fallback))
		       ? field + strlen(fallback)
		       : NULL;
}

/* The API server writes them in the case of HTTP, with what a header may not have as %XX. */
static int decode_key(const char *text, char *ret)
{
	size_t n = 0;

	for (; *text; text++) {
		char c = (char)tolower((unsigned char)*text);

		if (c == '%' && isxdigit((unsigned char)text[1]) &&
		    isxdigit((unsigned char)text[2])) {
			char digits[3] = {text[1], text[2], '\0'};
			unsigned value = 0;

			sscanf(digits, "%2x", &value); /* NOLINT(cert-err34-c): two hex digits */
			c = (char)tolower((int)value);
			text += 2;
		}
		if ((unsigned char)c < ' ' || n + 1 >= CALLER_KEY_SIZE)
			return -EINVAL;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return n ? 0 : -EINVAL;
}

static int take_extra(struct eks_caller *c, const char *name, const char *value)
{
	char key[CALLER_KEY_SIZE];
	size_t i = 0, n = 0;

	if (decode_key(name, key) < 0)
		return -EINVAL;
	while (i < c->n_extra && strcmp(c->keys[i], key) != 0)
		i++;
	if (i == CALLER_EXTRA_MAX)
		return -EINVAL;
	while (c->values[i][n])
		n++;
	if (n == CALLER_VALUES_MAX)
		return -EINVAL;
	c->values[i][n] = value;
	if (i < c->n_extra)
		return 0;
	strcpy(c->keys[i], key);
	c->extra[i] = (struct kube_access_extra){c->keys[i], c->values[i]};
	c->n_extra++;
	return 0;
}

static int take_one(const char **ret, const char *value)
{
	if (*ret)
		return -EINVAL; /* two of them: another reader would take the other one */
	*ret = value;
	return 0;
}

static int take_field(const struct control_front_proxy *p, const struct http_field *field,
		      struct eks_caller *c)
{
	const char *key = extra_key(p->names[NAMES_EXTRA], field->name);

	if (key)
		return take_extra(c, key, field->value);
	if (is_named(p->names[NAMES_USER], "X-Remote-User", field->name))
		return take_one(&c->user, field->value);
	if (is_named(p->names[NAMES_UID], "X-Remote-Uid", field->name))
		return take_one(&c->uid, field->value);
	if (!is_named(p->names[NAMES_GROUP], "X-Remote-Group", field->name))
		return 0;
	if (c->n_groups == CALLER_GROUPS_MAX)
		return -EINVAL;
	c->groups[c->n_groups++] = field->value;
	return 0;
}

int control_front_proxy_caller(const struct control_front_proxy *p, const struct http_ask *ask,
			       struct eks_caller *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!is_proxy(p, ask))
		return -ENOENT;
	for (size_t i = 0; i < ask->n_fields; i++)
		if (take_field(p, &ask->fields[i], ret) < 0)
			return -EINVAL;
	return ret->user && ret->user[0] ? 0 : -EINVAL;
}
