/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the stand-in of fake_http.h as an API server, for groups of tests (cmocka's setup and teardown). */
#pragma once

struct http_client;
struct kube_client;
struct loop;

extern struct fake_kube {
	struct loop *loop;
	struct http_client *http;
	struct kube_client *client; /* by TLS, with the token "own-token" */
} fake_kube;

int fake_kube_start(void **state);
int fake_kube_stop(void **state);
