// SPDX-License-Identifier: Apache-2.0
#include "kube/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"
#include "kube/exec.h"
#include "kube/internal.h"

#define REREAD_NS     (60 * CLOCK_S)
#define EXEC_LIMIT_NS (60 * CLOCK_S)
#define EARLY_NS      (10 * CLOCK_S) /* before they expire, credentials of a plugin are replaced */
#define MAX_TOKEN     (64U << 10)
#define MAX_PEM	      (1U << 20)

struct kube_credentials {
	struct loop *loop;
	const struct kube_config *config;
	kube_credentials_fn *fn;
	void *arg;
	char *authorization, *certificate, *key, *ca;
	unsigned generation;
	uint64_t read_ns; /* CLOCK_BOOTTIME; 0: never */
	/* the plugin's */
	struct kube_exec_run *run;
	bool known; /* it has given some */
	uint64_t until_ns; /* CLOCK_BOOTTIME; 0: they do not expire */
};

int kube_credentials_new(struct loop *loop, const struct kube_config *config,
			 kube_credentials_fn *fn, void *arg, struct kube_credentials **ret)
{
	struct kube_credentials *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct kube_credentials){
		.loop = loop, .config = config, .fn = fn, .arg = arg, .generation = 1};
	*ret = c;
	return 0;
}

struct kube_credentials *kube_credentials_free(struct kube_credentials *c)
{
	if (!c)
		return NULL;
	kube_exec_cancel(c->run);
	secret_free(c->authorization);
	secret_free(c->certificate);
	secret_free(c->key);
	secret_free(c->ca);
	free(c);
	return NULL;
}

/* ---- values ---- */

/* Takes text. */
static void replace(struct kube_credentials *c, char **value, char *text)
{
	if (*value && text && !strcmp(*value, text)) {
		secret_free(text);
		return;
	}
	secret_free(*value);
	*value = text;
	c->generation++;
}

/* A blank or a line feed in it would make another header of it. */
static char *authorization_of(const char *token)
{
	size_t len;
	char *line;

	token += strspn(token, " \t\r\n");
	len = strcspn(token, " \t\r\n");
	if (!len || token[len + strspn(token + len, " \t\r\n")])
		return NULL;
	for (size_t i = 0; i < len; i++)
		if (token[i] < '!' || token[i] > '~')
			return NULL;
	return asprintf(&line, "Authorization: Bearer %.*s", (int)len, token) < 0 ? NULL : line;
}

static int take_token(struct kube_credentials *c, const char *text, const char *from,
		      struct pc_err *err)
{
	char *line = authorization_of(text);

	if (!line)
		return pc_err_set(err, -EACCES, "%s: no token in it; a token is one word", from);
	replace(c, &c->authorization, line);
	return 0;
}

/* ---- files ---- */

static int read_file(const char *path, size_t max, char **ret, struct pc_err *err)
{
	int r = secret_read(path, max, ret, NULL);

	if (r == 0)
		return 0;
	return pc_err_set(err, -EACCES, "cannot read %s: %s; is it there, and may podcred read it?",
			  path, strerror(-r));
}

static int read_token(struct kube_credentials *c, struct pc_err *err)
{
	const struct kube_source *source = &c->config->token;
	_cleanup_secret_ char *text = NULL;
	int r;

	if (source->text)
		return take_token(c, source->text, c->config->name, err);
	if (!source->path)
		return 0;
	r = read_file(source->path, MAX_TOKEN, &text, err);
	return r ?: take_token(c, text, source->path, err);
}

static int read_pem(struct kube_credentials *c, const struct kube_source *source, char **value,
		    struct pc_err *err)
{
	_cleanup_secret_ char *text = NULL;
	int r = 0;

	if (!kube_source_given(source))
		return 0;
	if (!source->text)
		r = read_file(source->path, MAX_PEM, &text, err);
	else if (!(text = strdup(source->text)))
		r = pc_err_set(err, -ENOMEM, "no memory");
	if (r < 0 || !text)
		return r;
	if (!strstr(text, "-----BEGIN "))
		return pc_err_set(err, -EACCES, "%s: not a PEM file",
				  source->path ?: c->config->name);
	replace(c, value, TAKE_PTR(text));
	return 0;
}

/* What a file had said stays when it says nothing now: -errno only if it never did. */
static int read_files(struct kube_credentials *c, struct pc_err *err)
{
	const struct kube_config *config = c->config;
	int token = read_token(c, err), certificate, key, ca;

	certificate = read_pem(c, &config->certificate, &c->certificate, token ? NULL : err);
	key = read_pem(c, &config->key, &c->key, token || certificate ? NULL : err);
	ca = read_pem(c, &config->ca, &c->ca, token || certificate || key ? NULL : err);
	c->read_ns = clock_boot_ns();
	if (token < 0 && !c->authorization)
		return token;
	if (certificate < 0 && !c->certificate)
		return certificate;
	if (key < 0 && !c->key)
		return key;
	return ca < 0 && !c->ca ? ca : 0;
}

/* ---- the plugin ---- */

/* Those that expire soon are used for half of their time, so that they are used at all. */
static uint64_t use_until(uint64_t good_ns)
{
	uint64_t early = good_ns / 2 < EARLY_NS ? good_ns / 2 : EARLY_NS;

	return good_ns ? clock_boot_ns() + good_ns - early : 0;
}

static int take_given(struct kube_credentials *c, struct kube_exec_credential *given,
		      struct pc_err *err)
{
	int r = given->token ? take_token(c, given->token, c->config->exec.command, err) : 0;

	if (r < 0)
		return r;
	if (!given->token)
		replace(c, &c->authorization, NULL);
	replace(c, &c->certificate, TAKE_PTR(given->certificate));
	replace(c, &c->key, TAKE_PTR(given->key));
	c->known = true;
	c->until_ns = use_until(given->good_ns);
	return 0;
}

static void on_exec(void *arg, int error, const char *why, struct kube_exec_credential *given)
{
	struct kube_credentials *c = arg;
	struct pc_err err = {};

	c->run = NULL;
	if (error)
		pc_err_set(&err, error, "%s", why);
	else
		error = take_given(c, given, &err);
	c->fn(c->arg, error ? -EACCES : 0, err.msg);
}

static int ask_plugin(struct kube_credentials *c, struct pc_err *err)
{
	if (!c->config->exec.command ||
	    (c->known && (!c->until_ns || clock_boot_ns() < c->until_ns)))
		return 0;
	if (!c->run &&
	    kube_exec_start(c->loop, c->config, EXEC_LIMIT_NS, on_exec, c, &c->run, err) < 0)
		return -EACCES;
	return -EINPROGRESS;
}

/* ---- for requests ---- */

int kube_credentials_get(struct kube_credentials *c, struct kube_credentials_now *ret,
			 struct pc_err *err)
{
	int r = 0;

	if (!c->read_ns || clock_boot_ns() - c->read_ns >= REREAD_NS)
		r = read_files(c, err);
	if (r < 0)
		c->read_ns = 0; /* again for the next request */
	r = r ?: ask_plugin(c, err);
	if (r == 0)
		*ret = (struct kube_credentials_now){
			.authorization = c->authorization,
			.certificate = c->certificate,
			.key = c->key,
			.ca = c->ca,
			.generation = c->generation,
		};
	return r;
}

bool kube_credentials_reread(struct kube_credentials *c, unsigned generation)
{
	if (generation == c->generation)
		read_files(c, NULL);
	return generation != c->generation;
}

const char *kube_credentials_authority(const struct kube_credentials *c)
{
	return c->ca;
}

bool kube_credentials_refused(struct kube_credentials *c, unsigned generation)
{
	bool others = kube_credentials_reread(c, generation);

	if (others || !c->config->exec.command)
		return others;
	c->known = false;
	return true;
}
