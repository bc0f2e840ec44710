// SPDX-License-Identifier: Apache-2.0
#include "fetch/result.h"

#include <string.h>

#include "base/secret_pool.h"

const char *fetch_class_name(enum fetch_class class)
{
	static const char *const names[] = {
		[FETCH_GRANTED] = "granted",	 [FETCH_ABSENT] = "absent",
		[FETCH_DENIED] = "denied",	 [FETCH_INVALID] = "invalid",
		[FETCH_TOKEN] = "token",	 [FETCH_NODE] = "node_credentials",
		[FETCH_THROTTLED] = "throttled", [FETCH_UNAVAILABLE] = "unavailable",
		[FETCH_BROKEN] = "internal",
	};

	return names[class];
}

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *put(char **at, const char *text)
{
	char *copy = *at;

	if (!text)
		return NULL;
	*at = stpcpy(copy, text) + 1;
	return copy;
}

struct fetch_value *fetch_value_new(const struct fetch_result *r)
{
	size_t size = sizeof(struct fetch_value) + size_of(r->access_key_id) +
		      size_of(r->secret_access_key) + size_of(r->session_token) +
		      size_of(r->role_arn) + size_of(r->account_id) + size_of(r->session_name);
	struct fetch_value *value = secret_pool_alloc(size);
	char *at;

	if (!value)
		return NULL;
	at = (char *)(value + 1);
	value->refs = 1;
	value->expiration = r->expiration;
	value->access_key_id = put(&at, r->access_key_id);
	value->secret_access_key = put(&at, r->secret_access_key);
	value->session_token = put(&at, r->session_token);
	value->role_arn = put(&at, r->role_arn);
	value->account_id = put(&at, r->account_id);
	value->session_name = put(&at, r->session_name);
	return value;
}

struct fetch_value *fetch_value_ref(struct fetch_value *value)
{
	value->refs++;
	return value;
}

struct fetch_value *fetch_value_unref(struct fetch_value *value)
{
	if (value && --value->refs == 0)
		secret_pool_free(value);
	return NULL;
}
