// SPDX-License-Identifier: Apache-2.0
#include "fetch/region.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/credentials.h"

#define FIRST_WAIT_NS CLOCK_S
#define MOST_WAIT_NS  (60 * CLOCK_S)

struct fetch_region {
	struct aws_imds *imds;
	struct aws_call *call;
	struct loop_timer *timer;
	uint64_t wait_ns;
	fetch_region_fn *done;
	void *arg;
};

const char *fetch_region_known(const struct config_credentials *config)
{
	static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};

	if (config->region[0])
		return config->region;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *text = getenv(variables[i]);

		if (text && *text)
			return text;
	}
	return NULL;
}

static void again(struct fetch_region *region, const char *why)
{
	loop_timer_after(region->timer, region->wait_ns);
	region->wait_ns *= 2;
	if (region->wait_ns > MOST_WAIT_NS)
		region->wait_ns = MOST_WAIT_NS;
	region->done(region->arg, NULL, why);
}

static void on_place(void *arg, const struct aws_result *result, const struct aws_place *place)
{
	struct fetch_region *region = arg;

	region->call = NULL;
	if (place)
		region->done(region->arg, place, "");
	else
		again(region, result->message);
}

static void ask(void *arg)
{
	struct fetch_region *region = arg;
	struct pc_err err = {};

	if (aws_imds_place(region->imds, on_place, region, &region->call, &err) < 0)
		again(region, err.msg);
}

int fetch_region_start(struct loop *loop, struct aws_imds *imds, fetch_region_fn *done, void *arg,
		       struct fetch_region **ret)
{
	struct fetch_region *region = calloc(1, sizeof(*region));
	int r;

	if (!region)
		return -ENOMEM;
	*region = (struct fetch_region){
		.imds = imds, .wait_ns = FIRST_WAIT_NS, .done = done, .arg = arg};
	r = loop_timer_new(loop, ask, region, &region->timer);
	if (r < 0) {
		free(region);
		return r;
	}
	loop_timer_after(region->timer, 0);
	*ret = region;
	return 0;
}

struct fetch_region *fetch_region_cancel(struct fetch_region *region)
{
	if (!region)
		return NULL;
	aws_call_cancel(region->call);
	loop_timer_free(region->timer);
	free(region);
	return NULL;
}
