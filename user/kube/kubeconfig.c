// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/secret.h"
#include "kube/internal.h"
#include "yaml/read.h"

#define MAX_SIZE  (4U << 20)
#define MAX_NODES 100000

/* ---- life ---- */

static void source_done(struct kube_source *source)
{
	source->text = secret_free(source->text);
	source->path = secret_free(source->path);
}

/* The values of env may be secret. */
static void texts_free(char **texts)
{
	for (char **text = texts; text && *text; text++)
		secret_free(*text);
	free(texts);
}

struct kube_config *kube_config_free(struct kube_config *config)
{
	if (!config)
		return NULL;
	source_done(&config->ca);
	source_done(&config->token);
	source_done(&config->certificate);
	source_done(&config->key);
	texts_free(config->exec.argv);
	texts_free(config->exec.env);
	free(config->exec.command);
	free(config->exec.api_version);
	free(config->name);
	free(config->server);
	free(config->tls_server_name);
	secret_free(config->proxy);
	free(config->warning);
	free(config);
	return NULL;
}

#define _cleanup_config_ _cleanup_(kube_config_freep)

const char *kube_config_server(const struct kube_config *config)
{
	return config->server;
}

const char *kube_config_warning(const struct kube_config *config)
{
	return config->warning;
}

bool kube_config_runs_programs(const struct kube_config *config)
{
	return config->exec.command;
}

static int no_memory(struct pc_err *err)
{
	return pc_err_set(err, -ENOMEM, "no memory");
}

/* ---- in a pod ---- */

#define HOST_ENV "KUBERNETES_SERVICE_HOST"
#define PORT_ENV "KUBERNETES_SERVICE_PORT"

static int server_of_pod(struct kube_config *config, struct pc_err *err)
{
	const char *host = getenv(HOST_ENV), *port = getenv(PORT_ENV);
	bool v6 = host && strchr(host, ':');
	uint64_t number;

	if (!host || !*host || !port || !*port)
		return pc_err_set(err, -ENOENT,
				  "this is no pod: " HOST_ENV " and " PORT_ENV
				  " are not set; name a kubeconfig file");
	if (host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:")])
		return pc_err_set(err, -EINVAL, HOST_ENV " is no address; correct it in the pod");
	if (parse_u64(port, UINT16_MAX, &number) < 0 || !number)
		return pc_err_set(err, -EINVAL, PORT_ENV " is no port; correct it in the pod");
	if (asprintf(&config->server, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "",
		     port) >= 0)
		return 0;
	config->server = NULL;
	return no_memory(err);
}

static int file_of_pod(const char *dir, const char *file, char **ret, struct pc_err *err)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, file) < 0) {
		path = NULL;
		return no_memory(err);
	}
	if (access(path, R_OK) < 0)
		return pc_err_set(err, -errno,
				  "cannot read %s: %m; the pod needs a service account, and "
				  "automountServiceAccountToken must not be false",
				  path);
	*ret = TAKE_PTR(path);
	return 0;
}

int kube_config_in_cluster(const char *dir, struct kube_config **ret, struct pc_err *err)
{
	_cleanup_config_ struct kube_config *config = calloc(1, sizeof(*config));
	int r;

	dir = dir ?: KUBE_SERVICE_ACCOUNT_DIR;
	if (!config || !(config->name = strdup(dir)))
		return no_memory(err);
	r = server_of_pod(config, err);
	if (r == 0)
		r = file_of_pod(dir, "ca.crt", &config->ca.path, err);
	if (r == 0)
		r = file_of_pod(dir, "token", &config->token.path, err);
	if (r == 0)
		*ret = TAKE_PTR(config);
	return r;
}

/* ---- a kubeconfig file: values ---- */

struct reader {
	struct yml_source src;
	const struct yml_node *root;
	struct kube_config *config;
};

/* Nothing, and an empty text, are the same, as in Go. mapping may be NULL. */
static const struct yml_node *get(const struct yml_node *mapping, const char *key)
{
	const struct yml_node *node =
		mapping && mapping->kind == YML_MAPPING ? yml_get(mapping, key) : NULL;
	const char *text = node ? yml_text(node) : NULL;

	return text && (!*text || !strcmp(text, "null") || !strcmp(text, "~")) ? NULL : node;
}

/* *ret stays NULL when it is not given. */
static int get_text(const struct reader *in, const struct yml_node *mapping, const char *key,
		    char **ret)
{
	const struct yml_node *node = get(mapping, key);
	const char *text;

	if (!node)
		return 0;
	text = yml_text(node);
	if (!text)
		return yml_bad(&in->src, node, "%s is not a text; write \"%s: TEXT\"", key, key);
	*ret = strdup(text);
	return *ret ? 0 : no_memory(in->src.err);
}

static int get_bool(const struct reader *in, const struct yml_node *mapping, const char *key,
		    bool *ret)
{
	static const char *const words[] = {"false", "true"};
	const struct yml_node *node = get(mapping, key);
	uint64_t value = 0;
	int r = node ? yml_word(&in->src, node, key, words, ARRAY_SIZE(words), &value) : 0;

	if (r == 0)
		*ret = value;
	return r;
}

/* Of the folder that the file is in. */
static int beside(const struct reader *in, char **path)
{
	_cleanup_free_ char *name = NULL;
	char *absolute;

	if (!*path || **path == '/')
		return 0;
	name = strdup(in->config->name);
	if (!name || asprintf(&absolute, "%s/%s", dirname(name), *path) < 0)
		return no_memory(in->src.err);
	free(*path);
	*path = absolute;
	return 0;
}

static int get_path(const struct reader *in, const struct yml_node *mapping, const char *key,
		    char **ret)
{
	return get_text(in, mapping, key, ret) ?: beside(in, ret);
}

/* KEY-data is base64 of what a file named by KEY would hold, and takes precedence over it. */
static int get_pem(const struct reader *in, const struct yml_node *mapping, const char *key,
		   struct kube_source *ret)
{
	_cleanup_secret_ char *data = NULL;
	char data_key[64];
	size_t len = 0;
	int r;

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	r = get_text(in, mapping, data_key, &data);
	if (r < 0 || !data)
		return r ?: get_path(in, mapping, key, &ret->path);
	r = base64_decode(data, &ret->text, &len);
	if (r == -ENOMEM)
		return no_memory(in->src.err);
	if (r < 0 || strlen(ret->text) != len || !strstr(ret->text, "-----BEGIN "))
		return yml_bad(&in->src, get(mapping, data_key),
			       "%s is not base64 of a PEM file; copy it again", data_key);
	return 0;
}

/* ---- its three lists ---- */

/* The item of that name, and in it the mapping that holds the values. */
static int find(const struct reader *in, const char *list_key, const char *name,
		const char *item_key, const struct yml_node **ret)
{
	const struct yml_node *list = get(in->root, list_key);

	for (const struct yml_node *item = list && list->kind == YML_LIST ? list->first : NULL;
	     item; item = item->next) {
		const struct yml_node *node = get(item, "name");
		const char *text = node ? yml_text(node) : NULL;

		if (!text || strcmp(text, name) != 0)
			continue;
		*ret = get(item, item_key) ?: item; /* "user: {}" may be left out */
		return 0;
	}
	return yml_bad(&in->src, list ?: in->root,
		       "%s has no \"%.64s\"; name one that is there, or add it", list_key, name);
}

static int check_server(const struct reader *in, const struct yml_node *cluster)
{
	char *server = in->config->server;
	const char *host = NULL;
	size_t len = server ? strlen(server) : 0;

	if (!server)
		return yml_bad(&in->src, cluster, "missing key 'server'; add it");
	if (!strncmp(server, "https://", 8))
		host = server + 8;
	else if (!strncmp(server, "http://", 7))
		host = server + 7;
	if (!host || !*host || strpbrk(host, " @?#"))
		return yml_bad(&in->src, get(cluster, "server"),
			       "bad value of 'server'; write https://HOST:PORT");
	while (len && server[len - 1] == '/')
		server[--len] = '\0';
	return 0;
}

static int warn_insecure(const struct reader *in, const struct yml_node *cluster)
{
	const struct yml_node *node = get(cluster, "insecure-skip-tls-verify");

	if (kube_source_given(&in->config->ca))
		return yml_bad(&in->src, node,
			       "insecure-skip-tls-verify, and a certificate-authority; remove one");
	if (asprintf(&in->config->warning,
		     "%s:%u: insecure-skip-tls-verify: whoever answers as %s is believed; give its "
		     "certificate-authority instead",
		     in->config->name, node->line, in->config->server) >= 0)
		return 0;
	in->config->warning = NULL;
	return no_memory(in->src.err);
}

static int read_cluster(const struct reader *in, const char *name)
{
	struct kube_config *config = in->config;
	const struct yml_node *cluster = NULL;
	int r = find(in, "clusters", name, "cluster", &cluster);

	r = r ?: get_text(in, cluster, "server", &config->server);
	r = r ?: check_server(in, cluster);
	r = r ?: get_text(in, cluster, "tls-server-name", &config->tls_server_name);
	r = r ?: get_text(in, cluster, "proxy-url", &config->proxy);
	r = r ?: get_pem(in, cluster, "certificate-authority", &config->ca);
	r = r ?: get_bool(in, cluster, "insecure-skip-tls-verify", &config->insecure);
	return r ?: config->insecure ? warn_insecure(in, cluster) : 0;
}

/* ---- exec ---- */

static const char *const api_versions[] = {
	"client.authentication.k8s.io/v1",
	"client.authentication.k8s.io/v1beta1",
};

static int count(const struct reader *in, const struct yml_node *list, const char *key, size_t *ret)
{
	if (list && list->kind != YML_LIST)
		return yml_bad(&in->src, list, "%s is not a list", key);
	*ret = list ? list->len : 0;
	return 0;
}

static int read_args(const struct reader *in, const struct yml_node *exec)
{
	const struct yml_node *list = get(exec, "args");
	struct kube_exec *ret = &in->config->exec;
	size_t n = 0, i = 0;
	int r = count(in, list, "args", &n);

	if (r < 0)
		return r;
	ret->argv = calloc(n + 2, sizeof(*ret->argv));
	if (!ret->argv || !(ret->argv[i++] = strdup(ret->command)))
		return no_memory(in->src.err);
	for (const struct yml_node *arg = n ? list->first : NULL; arg; arg = arg->next) {
		if (!yml_text(arg))
			return yml_bad(&in->src, arg, "not a text in args; quote it");
		ret->argv[i] = strdup(yml_text(arg));
		if (!ret->argv[i++])
			return no_memory(in->src.err);
	}
	return 0;
}

static int read_variable(const struct reader *in, const struct yml_node *item, char **ret)
{
	_cleanup_secret_ char *name = NULL, *value = NULL;
	int r = get_text(in, item, "name", &name) ?: get_text(in, item, "value", &value);

	if (r < 0)
		return r;
	if (!name || strchr(name, '='))
		return yml_bad(&in->src, item,
			       "no name of a variable in env; write \"- name: NAME\"");
	if (asprintf(ret, "%s=%s", name, value ?: "") >= 0)
		return 0;
	*ret = NULL;
	return no_memory(in->src.err);
}

static int read_env(const struct reader *in, const struct yml_node *exec)
{
	const struct yml_node *list = get(exec, "env");
	struct kube_exec *ret = &in->config->exec;
	size_t n = 0, i = 0;
	int r = count(in, list, "env", &n);

	if (r < 0)
		return r;
	ret->env = calloc(n + 1, sizeof(*ret->env));
	if (!ret->env)
		return no_memory(in->src.err);
	for (const struct yml_node *item = n ? list->first : NULL; item && r == 0;
	     item = item->next)
		r = read_variable(in, item, &ret->env[i++]);
	return r;
}

static int check_exec(const struct reader *in, const struct yml_node *exec)
{
	static const char *const modes[] = {"Never", "IfAvailable", "Always"};
	const struct yml_node *version = get(exec, "apiVersion"), *mode;
	uint64_t index;
	int r;

	if (!in->config->exec.command)
		return yml_bad(&in->src, exec, "missing key 'command'; add it");
	if (!version)
		return yml_bad(&in->src, exec, "missing key 'apiVersion'; add it");
	r = yml_word(&in->src, version, "apiVersion", api_versions, ARRAY_SIZE(api_versions),
		     &index);
	mode = get(exec, "interactiveMode");
	if (r < 0 || !mode)
		return r;
	r = yml_word(&in->src, mode, "interactiveMode", modes, ARRAY_SIZE(modes), &index);
	return r < 0 || index < 2
		       ? r
		       : yml_bad(&in->src, mode,
				 "interactiveMode: Always, and there is no terminal; use "
				 "another plugin");
}

/* A name without a slash is looked for in PATH. */
static int read_exec(const struct reader *in, const struct yml_node *exec)
{
	struct kube_exec *ret = &in->config->exec;
	int r;

	if (exec->kind != YML_MAPPING)
		return yml_bad(&in->src, exec, "exec is not a mapping");
	r = get_text(in, exec, "command", &ret->command);
	r = r ?: check_exec(in, exec);
	r = r ?: get_text(in, exec, "apiVersion", &ret->api_version);
	r = r ?: get_bool(in, exec, "provideClusterInfo", &ret->wants_cluster);
	if (r == 0 && strchr(ret->command, '/'))
		r = beside(in, &ret->command);
	r = r ?: read_args(in, exec);
	return r ?: read_env(in, exec);
}

/* ---- user ---- */

/* To leave one out would be to come as somebody else. */
static int check_supported(const struct reader *in, const struct yml_node *user)
{
	static const char *const keys[] = {"auth-provider", "username",	 "password",	 "as",
					   "as-uid",	    "as-groups", "as-user-extra"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (get(user, keys[i]))
			return yml_bad(
				&in->src, get(user, keys[i]),
				"'%s' is not supported; use a token, a client certificate or "
				"an exec plugin",
				keys[i]);
	return 0;
}

static int check_user(const struct reader *in, const struct yml_node *user)
{
	const struct kube_config *config = in->config;
	bool token = kube_source_given(&config->token), exec = config->exec.command;
	bool certificate = kube_source_given(&config->certificate);

	if (token && exec)
		return yml_bad(&in->src, user, "a token, and an exec plugin; remove one");
	if (certificate && exec)
		return yml_bad(&in->src, user,
			       "a client-certificate, and an exec plugin; remove one");
	if (certificate && !kube_source_given(&config->key))
		return yml_bad(&in->src, user,
			       "client-certificate without client-key; add the key");
	if (kube_source_given(&config->key) && !certificate)
		return yml_bad(&in->src, user,
			       "client-key without client-certificate; add the certificate");
	if ((token || exec || certificate) && !strncmp(config->server, "http:", 5))
		return yml_bad(&in->src, user,
			       "credentials would go unencrypted to %s; write https in 'server'",
			       config->server);
	return 0;
}

/* tokenFile before token, as Kubernetes has it. */
static int read_user(const struct reader *in, const char *name)
{
	struct kube_config *config = in->config;
	const struct yml_node *user = NULL, *exec;
	int r = find(in, "users", name, "user", &user);

	r = r ?: check_supported(in, user);
	r = r ?: get_path(in, user, "tokenFile", &config->token.path);
	if (r == 0 && !config->token.path)
		r = get_text(in, user, "token", &config->token.text);
	r = r ?: get_pem(in, user, "client-certificate", &config->certificate);
	r = r ?: get_pem(in, user, "client-key", &config->key);
	exec = r == 0 ? get(user, "exec") : NULL;
	if (exec)
		r = read_exec(in, exec);
	return r ?: check_user(in, user);
}

/* ---- all of it ---- */

static int current_context(const struct reader *in, char **ret)
{
	int r = get_text(in, in->root, "current-context", ret);

	if (r < 0 || *ret)
		return r;
	return yml_bad(&in->src, in->root, "no current-context; add it, or name a context");
}

static int read_config(const struct reader *in, const char *context_name)
{
	_cleanup_free_ char *name = NULL, *cluster = NULL, *user = NULL;
	const struct yml_node *context = NULL;
	int r = 0;

	if (in->root->kind != YML_MAPPING)
		return yml_bad(&in->src, in->root, "not a kubeconfig; is this the right file?");
	if (!context_name) {
		r = current_context(in, &name);
		if (r < 0 || !name)
			return r;
		context_name = name;
	}
	r = find(in, "contexts", context_name, "context", &context);
	r = r ?: get_text(in, context, "cluster", &cluster);
	r = r ?: get_text(in, context, "user", &user);
	if (r < 0)
		return r;
	if (!cluster)
		return yml_bad(&in->src, context, "the context has no 'cluster'; add it");
	r = read_cluster(in, cluster);
	return r < 0 || !user ? r : read_user(in, user);
}

static int parse(struct reader *in, const char *text, size_t len, const char *context)
{
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	int r = yml_tree_parse(&in->src, text, len, MAX_NODES, &tree);

	if (r < 0)
		return r;
	in->root = yml_tree_root(tree);
	if (!in->root)
		return pc_err_set(in->src.err, -EINVAL, "%s: empty; is this the right file?",
				  in->src.name);
	return read_config(in, context);
}

int kube_config_file(const char *path, const char *context, struct kube_config **ret,
		     struct pc_err *err)
{
	_cleanup_config_ struct kube_config *config = calloc(1, sizeof(*config));
	_cleanup_secret_ char *text = NULL;
	struct reader in = {.src = {.name = path, .secret = true, .err = err}, .config = config};
	size_t len;
	int r;

	if (!config || !(config->name = strdup(path)))
		return no_memory(err);
	r = secret_read(path, MAX_SIZE, &text, &len);
	if (r < 0)
		return pc_err_set(err, r, "cannot read kubeconfig %s: %s", path, strerror(-r));
	r = parse(&in, text, len, context);
	if (r == 0)
		*ret = TAKE_PTR(config);
	return r;
}
