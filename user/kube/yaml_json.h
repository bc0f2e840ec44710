/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One YAML document to the jansson value that the same JSON would give. Plain scalars become null,
 * boolean or integer where YAML's core schema says so; all else, and everything quoted, is a
 * string. Refused, with the line: anchors and aliases, a second document, duplicate or
 * non-scalar keys, tags other than the JSON types', deep nesting.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct pc_err;

#define YAML_JSON_DEPTH 100

/* -EINVAL or -ENOMEM; the message has no file name, callers put it in front. An empty document
 * is null. */
int yaml_json_load(const char *text, size_t len, json_t **ret, struct pc_err *err);
