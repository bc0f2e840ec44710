// SPDX-License-Identifier: Apache-2.0
#include "control/api.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "http/desk.h"

struct control_api {
	struct control_api_options options;
};

int control_api_new(const struct control_api_options *options, struct control_api **ret,
		    struct pc_err *err)
{
	struct control_api *api = calloc(1, sizeof(*api));

	if (!api)
		return pc_err_set(err, -ENOMEM, "no memory");
	api->options = *options;
	*ret = api;
	return 0;
}

struct control_api *control_api_free(struct control_api *api)
{
	free(api);
	return NULL;
}

bool control_api_is_ready(struct control_api *api, const char **ret_why)
{
	(void)api, (void)ret_why;
	return true;
}

void control_api_handle(struct control_api *api, struct http_ticket *ticket)
{
	struct http_response resp = {};

	(void)api;
	http_response_begin(&resp, 404, "text/plain");
	http_ticket_answer(ticket, &resp);
}

void control_api_metrics(struct control_api *api, struct text *ret)
{
	(void)api;
	text_add(ret,
		 "# HELP podcred_control_up Whether it runs.\n# TYPE podcred_control_up gauge\n"
		 "podcred_control_up 1\n");
}
