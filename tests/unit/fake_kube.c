// SPDX-License-Identifier: Apache-2.0
#include "fake_kube.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/err.h"
#include "base/loop.h"
#include "fake_http.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"

struct fake_kube fake_kube;

int fake_kube_start(void **state)
{
	struct kube_config *config;
	struct pc_err err = {};
	char text[2048];

	(void)state;
	fake_http_start();
	assert_int_equal(loop_new(&fake_kube.loop), 0);
	assert_int_equal(http_client_new(fake_kube.loop, &fake_kube.http), 0);
	snprintf(text, sizeof(text),
		 "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
		 "clusters: [{name: c, cluster: {server: '%s', certificate-authority: '%s'}}]\n"
		 "users: [{name: u, user: {token: own-token}}]\n",
		 fake_http_url("tls", ""), fake_http_path("ca.pem"));
	fake_http_write("config", text, 0600);
	if (kube_config_file(fake_http_path("config"), NULL, &config, &err) < 0)
		fail_msg("%s", err.msg);
	return kube_client_new(fake_kube.loop, fake_kube.http, config, &fake_kube.client);
}

int fake_kube_stop(void **state)
{
	(void)state;
	kube_client_free(fake_kube.client);
	http_client_free(fake_kube.http);
	loop_free(fake_kube.loop);
	fake_http_stop();
	return 0;
}
