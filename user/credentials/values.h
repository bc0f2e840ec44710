/* SPDX-License-Identifier: Apache-2.0 */
/* What single values have to look like: AWS's rules, or those of Kubernetes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* ASCII letters, digits, and what is in extra; min to max characters. */
bool cred_is_made_of(const char *s, size_t min, size_t max, const char *extra);

bool cred_is_namespace(const char *s);
bool cred_is_service_account(const char *s);

/* Name of a role, without its path. */
bool cred_is_role(const char *s);
bool cred_is_account_id(const char *s);

/* The name in an ARN that cred_is_role_arn() has accepted; its end. */
const char *cred_role_of(const char *arn);

bool cred_is_access_key_id(const char *s);
bool cred_is_secret(const char *s);
bool cred_is_timestamp(const char *s);

bool cred_is_external_id(const char *s);
bool cred_is_audience(const char *s);

/* A JSON object, up to 2048 characters of Latin-1, as STS counts them. */
bool cred_is_policy(const char *s);

/* Of session tags: letters, blanks and digits of all languages, and _ . : / = + - @. */
bool cred_is_tag_key(const char *s);
bool cred_is_tag_value(const char *s);

/* Tag keys are compared without regard to case. */
bool cred_is_same_tag(const char *a, const char *b);

/* One of the six that EKS sends. */
bool cred_is_eks_tag(const char *key);

bool cred_is_variable(const char *s);
bool cred_is_same_variable(const char *a, const char *b);
bool cred_is_argument(const char *s);
bool cred_is_absolute(const char *s);
