// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube yaml base */
/* LIBS: -lyaml */
/* A kubeconfig file, and what an exec plugin prints: whole or not at all, and no message repeats a secret. */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "kube/exec.h"
#include "kube/internal.h"

/* Stands in the seeds where secrets do. Wherever it wanders to, no message may have it. */
#define SECRET "wJalrXUtn/K7MDENG+"

static void check_message(const char *msg)
{
	MUST(*msg && !strstr(msg, SECRET));
	for (const char *c = msg; *c; c++)
		MUST((unsigned char)*c >= ' ' && *c != 127);
}

static void check_source(const struct kube_source *source, bool pem)
{
	MUST(!source->text || !source->path);
	MUST(!source->path || source->path[0] == '/');
	MUST(!source->text || !pem || strstr(source->text, "-----BEGIN "));
}

static void check_config(const struct kube_config *config)
{
	bool token = kube_source_given(&config->token);

	MUST(!strncmp(config->server, "http://", 7) || !strncmp(config->server, "https://", 8));
	MUST(config->server[strlen(config->server) - 1] != '/');
	MUST(strncmp(config->server, "http:", 5) != 0 || (!token && !config->exec.command));
	check_source(&config->ca, true);
	check_source(&config->token, false);
	check_source(&config->certificate, true);
	check_source(&config->key, true);
	MUST(kube_source_given(&config->key) == kube_source_given(&config->certificate));
	MUST(!config->insecure == !config->warning);
	MUST(!config->exec.command ||
	     (!token && config->exec.argv && config->exec.env && config->exec.api_version));
}

static void read_config(const uint8_t *data, size_t size)
{
	int fd = memfd_create("kubeconfig", MFD_CLOEXEC);
	struct kube_config *config = NULL;
	struct pc_err err = {};
	char path[64];

	MUST(fd >= 0 && (!size || write(fd, data, size) == (ssize_t)size));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (kube_config_file(path, NULL, &config, &err) == 0)
		check_config(config);
	else
		check_message(err.msg);
	kube_config_free(config);
	close(fd);
}

static void read_output(const uint8_t *data, size_t size)
{
	char version[] = "client.authentication.k8s.io/v1", *text = fuzz_copy(data, size);
	const struct kube_exec exec = {.api_version = version};
	struct kube_exec_credential given = {};
	struct pc_err err = {};

	if (kube_exec_decode(&exec, text, size, &given, &err) == 0)
		MUST((given.token || given.certificate) && !given.certificate == !given.key);
	else
		check_message(err.msg);
	kube_exec_credential_done(&given);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_config(data, size);
	read_output(data, size);
	return 0;
}
