/* SPDX-License-Identifier: Apache-2.0 */
/* Names of Kubernetes objects (RFC 1123), as the API server checks them. Sizes are with NUL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define K8S_LABEL_SIZE	   64
#define K8S_SUBDOMAIN_SIZE 254

/* Namespaces: 1 to 63 of a-z, 0-9 and '-', no '-' at either end. */
bool k8s_is_label(const char *s, size_t len);

/* Pods, service accounts, nodes: labels joined by '.', 253 characters in all. Kubernetes knows no
 * limit for one label in it. */
bool k8s_is_subdomain(const char *s, size_t len);

/* Keys and values of labels: 63 of a-z A-Z 0-9 '-' '_' '.', beginning and ending with a letter or digit.
 * A key may have a subdomain and '/' before it, a value may be empty. */
#define K8S_LABEL_KEY_SIZE   318
#define K8S_LABEL_VALUE_SIZE 64

bool k8s_is_label_key(const char *s, size_t len);
bool k8s_is_label_value(const char *s, size_t len);
