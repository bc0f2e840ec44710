/* SPDX-License-Identifier: Apache-2.0 */
/* In which region we are: as configured, by the environment, or by the metadata service, which is asked again and again. */
#pragma once

#include "aws/imds.h"

struct config_credentials;
struct fetch_region;
struct loop;

/* What is known without asking anybody; NULL: nothing. */
const char *fetch_region_known(const struct config_credentials *config);

/* place: what IMDS says; NULL: it could not be asked just now, for the reason why. Until it could, it is asked again. */
typedef void fetch_region_fn(void *arg, const struct aws_place *place, const char *why);

int fetch_region_start(struct loop *loop, struct aws_imds *imds, fetch_region_fn *done, void *arg,
		       struct fetch_region **ret);

/* Returns NULL; NULL is fine. */
struct fetch_region *fetch_region_cancel(struct fetch_region *region);
