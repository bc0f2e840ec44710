// SPDX-License-Identifier: Apache-2.0
/* issuer: what podcred broker publishes as an OIDC issuer, as files for a web server or a bucket. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "broker/issuer.h"
#include "cli/cli.h"
#include "config/config.h"
#include "daemon/privileges.h"

#define PATH_SIZE    4096
#define DOCUMENT_MAX (64 << 10)

static int make_directory(const char *path, struct pc_err *err)
{
	return mkdir(path, 0755) == 0 || errno == EEXIST
		       ? 0
		       : pc_err_set(err, -errno, "cannot make %s: %s; give another --output", path,
				    strerror(errno));
}

static int write_document(const struct broker_issuer *issuer, const char *output, const char *name,
			  struct pc_err *err)
{
	_cleanup_(text_done) struct text t = {.max = DOCUMENT_MAX};
	char from[64], path[PATH_SIZE];
	int r;

	snprintf(from, sizeof(from), "/%s", name);
	snprintf(path, sizeof(path), "%s/%s", output, name);
	r = broker_issuer_document(issuer, from, &t);
	r = r ?: file_write_atomic(path, t.data, t.len, 0644);
	if (r < 0)
		return pc_err_set(err, r, "cannot write %s: %s", path, strerror(-r));
	printf("%s\n", path);
	return 0;
}

/* The keys first: nothing is to name a file that is not there yet. */
static int write_all(const struct broker_issuer *issuer, const char *output, struct pc_err *err)
{
	char directory[PATH_SIZE];
	int r;

	if (strlen(output) > PATH_SIZE - sizeof("/" BROKER_ISSUER_DISCOVERY))
		return pc_err_set(err, -ENAMETOOLONG, "--output: the path is too long");
	snprintf(directory, sizeof(directory), "%s/.well-known", output);
	r = make_directory(output, err);
	r = r ?: make_directory(directory, err);
	r = r ?: write_document(issuer, output, BROKER_ISSUER_KEYS, err);
	return r ?: write_document(issuer, output, BROKER_ISSUER_DISCOVERY, err);
}

static int load(const char *path, struct config *config, struct pc_err *err)
{
	int r = config_load(path, config, err);

	if (r == 0 && config->credentials.source != CONFIG_SOURCE_ISSUER)
		r = pc_err_set(err, -EINVAL,
			       "%s: nothing is issued there; write credentials: {source: issuer} "
			       "and broker: {issuer: {url: URL, keys: FILE}}",
			       path);
	return r;
}

int cmd_issuer(const struct cli_command *self, int argc, char **argv)
{
	static struct config config;
	const char *path = NULL, *output = NULL;
	const struct cli_option options[] = {
		{"config", "FILE", "configuration of podcred broker (required)", &path, NULL, NULL},
		{"output", "DIR", "write the documents there (required)", &output, NULL, NULL},
	};
	struct broker_issuer *issuer = NULL;
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	if (!path || !output || !*output) {
		fprintf(stderr, "podcred issuer: give --config FILE and --output DIR\n");
		return EXIT_USAGE;
	}
	daemon_privileges_hide_memory();
	r = load(path, &config, &err);
	r = r ?: broker_issuer_new(&config, &issuer, &err);
	r = r ?: write_all(issuer, output, &err);
	if (r == 0)
		printf("publish them below %s; tokens are signed by %s\n", config.broker.issuer.url,
		       broker_issuer_kid(issuer));
	broker_issuer_free(issuer);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}
