// SPDX-License-Identifier: Apache-2.0
#include "control/discovery.h"

#include <string.h>

#include "base/cleanup.h"
#include "control/eks_request.h"
#include "http/desk.h"

#define VERSION "{\"groupVersion\":\"eks.podcred.io/v1\",\"version\":\"v1\"}"
#define GROUP	"\"name\":\"eks.podcred.io\",\"versions\":[" VERSION "],\"preferredVersion\":" VERSION

/* Its paths are those of EKS: there is nothing that kubectl could get or list. */
static const struct {
	const char *path, *body;
} documents[] = {
	{"/apis", "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{" GROUP "}]}"},
	{"/apis/eks.podcred.io", "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," GROUP "}"},
	{EKS_PREFIX, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\","
		     "\"groupVersion\":\"eks.podcred.io/v1\",\"resources\":[]}"},
};

bool control_discovery_answer(const struct http_ask *ask, struct http_response *resp)
{
	size_t len = strcspn(ask->target, "?");

	/* an API server looks for it again and again */
	if (!strncmp(ask->target, "/openapi/", strlen("/openapi/"))) {
		http_response_begin(resp, 404, "text/plain");
		text_add(&resp->body, "there is no schema of this API\n");
		return true;
	}
	if (len > 1 && ask->target[len - 1] == '/')
		len--;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		if (len != strlen(documents[i].path) ||
		    memcmp(ask->target, documents[i].path, len) != 0)
			continue;
		http_response_begin(resp, 200, "application/json");
		text_add(&resp->body, documents[i].body);
		return !strcmp(ask->method, "GET");
	}
	return false;
}
