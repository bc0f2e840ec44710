// SPDX-License-Identifier: Apache-2.0
#include "fetch/result.h"

#include <string.h>

#include "base/pack.h"
#include "base/secret_pool.h"

const char *fetch_class_name(enum fetch_class class)
{
	static const char *const names[] = {
		[FETCH_GRANTED] = "granted",	     [FETCH_ABSENT] = "absent",
		[FETCH_NOT_ALLOWED] = "not_allowed", [FETCH_DENIED] = "denied",
		[FETCH_INVALID] = "invalid",	     [FETCH_TOKEN] = "token",
		[FETCH_NODE] = "node_credentials",   [FETCH_THROTTLED] = "throttled",
		[FETCH_UNAVAILABLE] = "unavailable", [FETCH_BROKEN] = "internal",
	};

	return names[class];
}

struct fetch_value *fetch_value_new(const struct fetch_result *r)
{
	size_t size = sizeof(struct fetch_value) + pack_size(r->access_key_id) +
		      pack_size(r->secret_access_key) + pack_size(r->session_token) +
		      pack_size(r->role_arn) + pack_size(r->account_id) +
		      pack_size(r->session_name) + pack_size(r->role_id);
	struct fetch_value *value = secret_pool_alloc(size);
	char *at;

	if (!value)
		return NULL;
	at = (char *)(value + 1);
	value->refs = 1;
	value->packed_percent = r->packed_percent;
	value->expiration = r->expiration;
	value->access_key_id = pack_put(&at, r->access_key_id);
	value->secret_access_key = pack_put(&at, r->secret_access_key);
	value->session_token = pack_put(&at, r->session_token);
	value->role_arn = pack_put(&at, r->role_arn);
	value->account_id = pack_put(&at, r->account_id);
	value->session_name = pack_put(&at, r->session_name);
	value->role_id = pack_put(&at, r->role_id);
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
