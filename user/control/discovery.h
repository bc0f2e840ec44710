/* SPDX-License-Identifier: Apache-2.0 */
/* What an aggregating API server looks at to know that this is an API, and kubectl to know what it has. */
#pragma once

#include <stdbool.h>

struct http_ask;
struct http_response;

/* Whether it was that; then resp is the answer. Nobody has to say who they are for it. */
bool control_discovery_answer(const struct http_ask *ask, struct http_response *resp);
