// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube yaml identity base */
/* LIBS: -lyaml -ljansson */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/secret.h"
#include "kube/internal.h"

#define PEM_DATA "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCng="
#define PEM_TEXT "-----BEGIN CERTIFICATE-----\nx"

static char dir[] = "/tmp/podcred-kubeconfig-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	assert_int_equal(file_write_atomic(in_dir(name), text, strlen(text), 0600), 0);
}

/* A kubeconfig with these lines in its cluster and its user. */
static const char *with(const char *cluster, const char *user)
{
	static char text[4096];

	snprintf(text, sizeof(text),
		 "apiVersion: v1\nkind: Config\npreferences: {colors: true}\n"
		 "current-context: one\n"
		 "contexts:\n"
		 "- {name: zero, context: {cluster: nowhere, user: nobody}}\n"
		 "- {name: one, context: {cluster: c, user: u, namespace: shop}}\n"
		 "- {name: two, context: {cluster: c, user: anonymous}}\n"
		 "- {name: three, context: {user: u}}\n"
		 "- {name: four, context: {cluster: c, user: missing}}\n"
		 "clusters:\n- {name: other, cluster: {server: 'https://other'}}\n"
		 "- name: c\n  cluster:\n    server: https://10.0.0.1:6443/\n%s"
		 "users:\n- {name: anonymous}\n- name: u\n  user:\n    extensions: {}\n%s",
		 cluster, user);
	return text;
}

static struct kube_config *good(const char *text, const char *context)
{
	struct kube_config *config = NULL;
	struct pc_err err = {};

	write_file("config", text);
	if (kube_config_file(in_dir("config"), context, &config, &err) < 0)
		fail_msg("%s", err.msg);
	return config;
}

static void bad(const char *text, const char *context, const char *why)
{
	struct kube_config *config = NULL;
	struct pc_err err = {};

	write_file("config", text);
	assert_int_equal(kube_config_file(in_dir("config"), context, &config, &err), -EINVAL);
	assert_null(config);
	if (!strstr(err.msg, why) || strncmp(err.msg, dir, strlen(dir)) != 0 ||
	    strstr(err.msg, "hush"))
		fail_msg("\"%s\" is not: FILE ... %s", err.msg, why);
}

#define WITH_CONFIG(text, context)                                                                 \
	for (struct kube_config *config = good(text, context); config;                             \
	     config = kube_config_free(config))

static void test_token(void **state)
{
	(void)state;
	WITH_CONFIG(with("", "    token: hush\n"), NULL)
	{
		assert_string_equal(kube_config_server(config), "https://10.0.0.1:6443");
		assert_null(kube_config_warning(config));
		assert_string_equal(config->token.text, "hush");
		assert_null(config->ca.text);
		assert_null(config->ca.path);
		assert_false(config->insecure);
	}
	WITH_CONFIG(with("", "    token: hush\n    tokenFile: sub/token\n"), "one")
	{
		assert_null(config->token.text);
		assert_string_equal(config->token.path, in_dir("sub/token"));
	}
	WITH_CONFIG(with("", "    token: ''\n    tokenFile: /abs/token\n"), "one")
	assert_string_equal(config->token.path, "/abs/token");
	WITH_CONFIG(with("", ""), "two")
	assert_false(kube_source_given(&config->token));
}

static void test_certificates(void **state)
{
	(void)state;
	WITH_CONFIG(with("    certificate-authority-data: " PEM_DATA "\n"
			 "    certificate-authority: /not/this\n    tls-server-name: api.test\n"
			 "    proxy-url: http://proxy:3128\n",
			 "    client-certificate: c.pem\n    client-key-data: " PEM_DATA "\n"),
		    NULL)
	{
		assert_string_equal(config->ca.text, PEM_TEXT);
		assert_null(config->ca.path);
		assert_string_equal(config->tls_server_name, "api.test");
		assert_string_equal(config->proxy, "http://proxy:3128");
		assert_string_equal(config->certificate.path, in_dir("c.pem"));
		assert_string_equal(config->key.text, PEM_TEXT);
	}
	WITH_CONFIG(with("    certificate-authority: ca.pem\n", ""), NULL)
	assert_string_equal(config->ca.path, in_dir("ca.pem"));
	WITH_CONFIG(with("    insecure-skip-tls-verify: true\n", ""), NULL)
	{
		assert_true(config->insecure);
		assert_non_null(
			strstr(config->warning, "whoever answers as https://10.0.0.1:6443"));
		assert_non_null(strstr(config->warning, "config:16: "));
	}
	WITH_CONFIG(with("    insecure-skip-tls-verify: false\n", ""), NULL)
	assert_null(config->warning);
}

static void test_exec(void **state)
{
	(void)state;
	WITH_CONFIG(
		with("",
		     "    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n"
		     "      command: aws\n      args: [eks, get-token, --cluster, '1']\n"
		     "      env:\n      - {name: AWS_PROFILE, value: hush}\n      - name: EMPTY\n"
		     "      interactiveMode: IfAvailable\n      provideClusterInfo: true\n"
		     "      installHint: |\n        get it\n"),
		NULL)
	{
		assert_string_equal(config->exec.command, "aws");
		assert_string_equal(config->exec.argv[0], "aws");
		assert_string_equal(config->exec.argv[4], "1");
		assert_null(config->exec.argv[5]);
		assert_string_equal(config->exec.env[0], "AWS_PROFILE=hush");
		assert_string_equal(config->exec.env[1], "EMPTY=");
		assert_null(config->exec.env[2]);
		assert_true(config->exec.wants_cluster);
	}
	WITH_CONFIG(with("", "    exec: {apiVersion: client.authentication.k8s.io/v1, "
			     "command: ./plugin, args: null, env: null}\n"),
		    NULL)
	{
		assert_string_equal(config->exec.command, in_dir("./plugin"));
		assert_string_equal(config->exec.argv[0], in_dir("./plugin"));
		assert_null(config->exec.argv[1]);
		assert_null(config->exec.env[0]);
	}
}

#define EXEC "    exec: {apiVersion: client.authentication.k8s.io/v1, command: x"

static void test_bad_users(void **state)
{
	static const char *const rows[][2] = {
		{"    username: hush\n", "'username' is not supported"},
		{"    password: hush\n", "'password' is not supported; use a token"},
		{"    auth-provider: {name: gcp}\n", "'auth-provider' is not supported"},
		{"    as: admin\n    token: hush\n", "'as' is not supported"},
		{"    as-groups: [hush]\n", "'as-groups' is not supported"},
		{"    token: [hush]\n", ":21: token is not a text"},
		{"    token: hush\n" EXEC "}\n", "a token, and an exec plugin; remove one"},
		{"    client-certificate: c\n", "client-certificate without client-key"},
		{"    client-key: c\n", "client-key without client-certificate"},
		{"    client-key-data: hush\n", ":21: client-key-data is not base64 of a PEM file"},
		{"    client-key-data: aHVzaA==\n", "client-key-data is not base64 of a PEM file"},
		{"    exec: hush\n", "exec is not a mapping"},
		{"    exec: {command: x}\n", "missing key 'apiVersion'"},
		{"    exec: {apiVersion: client.authentication.k8s.io/v1}\n",
		 "missing key 'command'"},
		{"    exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}\n",
		 "is not client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1"},
		{EXEC ", args: hush}\n", "args is not a list"},
		{EXEC ", args: [{hush: 1}]}\n", "not a text in args"},
		{EXEC ", env: hush}\n", "env is not a list"},
		{EXEC ", env: [hush]}\n", "no name of a variable in env"},
		{EXEC ", env: [{name: 'A=B', value: hush}]}\n", "no name of a variable in env"},
		{EXEC ", interactiveMode: Always}\n", "there is no terminal"},
		{EXEC ", provideClusterInfo: maybe}\n", "provideClusterInfo"},
		{EXEC "}\n    client-certificate: a\n    client-key: b\n", "remove one"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		bad(with("", rows[i][0]), NULL, rows[i][1]);
}

static void test_bad_clusters(void **state)
{
	static const char *const rows[][2] = {
		{"    insecure-skip-tls-verify: true\n    certificate-authority: ca\n",
		 ":16: insecure-skip-tls-verify, and a certificate-authority; remove one"},
		{"    insecure-skip-tls-verify: 1\n", "is not false or true"},
		{"    certificate-authority-data: '!'\n", "is not base64 of a PEM file"},
	};
	static const char *const servers[] = {"10.0.0.1:6443", "ftp://x", "https://",
					      "https://user:hush@host", "https://a b"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		bad(with(rows[i][0], ""), NULL, rows[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		snprintf(text, sizeof(text),
			 "contexts: [{name: x, context: {cluster: c}}]\n"
			 "clusters: [{name: c, cluster: {server: '%s'}}]\n",
			 servers[i]);
		bad(text, "x", ":2: bad value of 'server'; write https://HOST:PORT");
	}
	bad("contexts: [{name: x, context: {cluster: c, user: u}}]\n"
	    "clusters: [{name: c, cluster: {server: 'http://10.0.0.1'}}]\n"
	    "users: [{name: u, user: {token: hush}}]\n",
	    "x", "credentials would go unencrypted to http://10.0.0.1");
	bad("contexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c}]\n", "x",
	    "missing key 'server'");
}

static void test_bad_files(void **state)
{
	struct kube_config *config = NULL;
	struct pc_err err = {};

	(void)state;
	bad("", NULL, ": empty; is this the right file?");
	bad("[]\n", NULL, "not a kubeconfig");
	bad("hush\n", NULL, "not a kubeconfig");
	bad("a: [\n", NULL, ":2: ");
	bad("clusters: []\n", NULL, "no current-context");
	bad(with("", ""), "five", "contexts has no \"five\"");
	bad(with("", ""), "zero", "clusters has no \"nowhere\"");
	bad(with("", ""), "three", "the context has no 'cluster'");
	bad(with("", ""), "four", "users has no \"missing\"");
	assert_int_equal(kube_config_file(in_dir("absent"), NULL, &config, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "absent: No such file"));
}

/* ---- in a pod ---- */

static int in_pod(struct kube_config **ret, struct pc_err *err)
{
	*err = (struct pc_err){};
	return kube_config_in_cluster(dir, ret, err);
}

static void test_in_cluster(void **state)
{
	struct kube_config *config = NULL;
	struct pc_err err;

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(in_pod(&config, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "this is no pod"));
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(in_pod(&config, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "ca.crt: No such file"));
	assert_non_null(strstr(err.msg, "automountServiceAccountToken"));
	write_file("ca.crt", PEM_TEXT);
	write_file("token", "hush");
	assert_int_equal(in_pod(&config, &err), 0);
	assert_string_equal(kube_config_server(config), "https://10.96.0.1:443");
	assert_string_equal(config->token.path, in_dir("token"));
	config = kube_config_free(config);
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	assert_int_equal(in_pod(&config, &err), 0);
	assert_string_equal(kube_config_server(config), "https://[fd00::1]:443");
	config = kube_config_free(config);
	setenv("KUBERNETES_SERVICE_PORT", "https", 1);
	assert_int_equal(in_pod(&config, &err), -EINVAL);
	setenv("KUBERNETES_SERVICE_PORT", "70000", 1);
	assert_int_equal(in_pod(&config, &err), -EINVAL);
	setenv("KUBERNETES_SERVICE_HOST", "a/b", 1);
	assert_int_equal(in_pod(&config, &err), -EINVAL);
	assert_null(config);
}

/* ---- what it is made of ---- */

static void test_base64(void **state)
{
	static const char *const good_texts[][2] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYg==", "foob"},
		{" Zm\n9v Y m\t E = \r\n", "fooba"},
		{"+/+/", "\xfb\xff\xbf"},
	};
	static const char *const bad_texts[] = {
		"Z",	"Zg",	"Zg=",	 "Zg===",    "Zm8",  "Zm8==", "=",
		"Zh==", "Zm9=", "Zm9v=", "Zg==Zg==", "Zm-_", "Z=g="};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_texts); i++) {
		_cleanup_secret_ char *text = NULL;
		size_t len;

		assert_int_equal(base64_decode(good_texts[i][0], &text, &len), 0);
		assert_string_equal(text, good_texts[i][1]);
		assert_int_equal(len, strlen(good_texts[i][1]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad_texts); i++) {
		char *text = NULL;

		if (base64_decode(bad_texts[i], &text, NULL) != -EINVAL)
			fail_msg("taken: %s", bad_texts[i]);
		assert_null(text);
	}
}

static void test_secret_read(void **state)
{
	char *text = NULL;
	size_t len;

	(void)state;
	write_file("secret", "12345");
	assert_int_equal(secret_read(in_dir("secret"), 5, &text, &len), 0);
	assert_string_equal(text, "12345");
	assert_int_equal(len, 5);
	text = secret_free(text);
	assert_int_equal(secret_read(in_dir("secret"), 4, &text, &len), -EFBIG);
	assert_int_equal(secret_read(in_dir("absent"), 4, &text, &len), -ENOENT);
	assert_int_equal(secret_read(dir, 4, &text, &len), -EISDIR);
	assert_null(text);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const files[] = {"config", "ca.crt", "token", "secret"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(in_dir(files[i]));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),	     cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_exec),	     cmocka_unit_test(test_bad_users),
		cmocka_unit_test(test_bad_clusters), cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_in_cluster),   cmocka_unit_test(test_base64),
		cmocka_unit_test(test_secret_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
