/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fake/aws.py for unit tests: STS and EKS Auth with TLS, and the metadata service. */
#pragma once

#include <stddef.h>

/* Once, before all tests, and after them. */
void fake_aws_start(void);
void fake_aws_stop(void);

/* Of "sts", "eks-auth", "imds" or "roles-anywhere". */
const char *fake_aws_url(const char *service);

/* The authority of their certificates, as PEM. */
const char *fake_aws_ca(void);

/* A command of aws.py, and what it says, as JSON; to be freed. */
__attribute__((format(printf, 1, 2))) char *fake_aws_do(const char *fmt, ...);

/* The same; nothing of it is needed. */
__attribute__((format(printf, 1, 2))) void fake_aws_set(const char *fmt, ...);

/* The log of calls up to now, a JSON object to a line; to be freed. */
char *fake_aws_calls(void);
