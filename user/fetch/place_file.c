// SPDX-License-Identifier: Apache-2.0
/* The shared files of AWS's tools: keys, or a credential_process. They are read again when they have changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "config/credentials.h"
#include "fetch/fetch.h"
#include "fetch/keys.h"
#include "fetch/node_place.h"
#include "fetch/process.h"
#include "fetch/profile.h"

#define MAX_FILE (1U << 20)

struct files {
	char credentials[1200], config[1200]; /* paths */
	bool named; /* somebody has said where the credentials are: they are to be readable */
	const char *profile;
};

static void path_of(const char *variable, const char *below_home, char ret[1200])
{
	const char *path = getenv(variable), *home = getenv("HOME");

	if (path && *path)
		snprintf(ret, 1200, "%s", path);
	else
		snprintf(ret, 1200, "%s/.aws/%s", home && *home ? home : "/root", below_home);
}

static struct files files_of(const struct config_node_credentials *config)
{
	const char *profile = getenv("AWS_PROFILE");
	struct files files;

	path_of("AWS_SHARED_CREDENTIALS_FILE", "credentials", files.credentials);
	path_of("AWS_CONFIG_FILE", "config", files.config);
	files.named = config->path[0] || getenv("AWS_SHARED_CREDENTIALS_FILE");
	if (config->path[0])
		snprintf(files.credentials, sizeof(files.credentials), "%s", config->path);
	files.profile = config->profile[0]    ? config->profile
			: profile && *profile ? profile
					      : "default";
	return files;
}

/* A file that is not there says nothing; nor does somebody else's, in a home that is perhaps not ours. */
static int read_one(const char *path, const struct files *files, bool is_config,
		    struct fetch_profile *ret)
{
	_cleanup_secret_ char *text = NULL;
	const char *name = files->profile;
	int r = secret_read(path, MAX_FILE, &text, NULL);

	if (r == -ENOENT || r == -ENOTDIR || (r == -EACCES && (is_config || !files->named)))
		return 0;
	return r < 0 ? r : fetch_profile_read(text, name, is_config, ret);
}

/* The credentials file goes before the config file. */
static int read_profile(const struct files *files, struct fetch_profile *ret)
{
	int r = read_one(files->config, files, true, ret);

	return r < 0 ? r : read_one(files->credentials, files, false, ret);
}

static bool has_some(const struct fetch_env *env, const struct config_node_credentials *config,
		     char text[FETCH_PLACE_SIZE])
{
	_cleanup_(fetch_profile_done) struct fetch_profile profile = {};
	struct files files = files_of(config);

	(void)env;
	snprintf(text, FETCH_PLACE_SIZE, "in %.900s, profile %.127s", files.credentials,
		 files.profile);
	if (read_profile(&files, &profile) < 0)
		return true; /* somebody meant it to be there: the attempt says what is wrong */
	return (profile.access_key_id && profile.secret_access_key) || profile.credential_process;
}

bool fetch_profile_runs_program(const struct config_credentials *config, size_t i)
{
	_cleanup_(fetch_profile_done) struct fetch_profile profile = {};
	struct files files = files_of(&config->node[i]);

	return read_profile(&files, &profile) == 0 && profile.credential_process &&
	       !profile.access_key_id;
}

static int use_keys(const struct fetch_env *env, const struct fetch_profile *profile,
		    fetch_done_fn *done, void *arg, struct fetch_job **ret)
{
	struct fetch_result result = {
		.class = FETCH_GRANTED,
		.access_key_id = profile->access_key_id,
		.secret_access_key = profile->secret_access_key,
		.session_token = profile->session_token,
	};

	if (!fetch_is_access_key_id(result.access_key_id) ||
	    !fetch_is_secret(result.secret_access_key, FETCH_SECRET_MAX) ||
	    (result.session_token && !fetch_is_secret(result.session_token, FETCH_TOKEN_MAX)))
		result = (struct fetch_result){
			.class = FETCH_INVALID,
			.why = "one of the keys in the profile is no such thing; correct the file"};
	return fetch_job_later(env->loop, &result, done, arg, ret);
}

static int use_process(const struct fetch_env *env, struct fetch_profile *profile,
		       fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const char *command[FETCH_WORDS_MAX + 1];
	const struct fetch_process process = {.command = command, .what = "credential_process"};

	if (fetch_split_command(profile->credential_process, command) < 0)
		return pc_err_set(err, -EINVAL, "credential_process is not a command line");
	if (command[0][0] != '/')
		return pc_err_set(
			err, -EINVAL,
			"credential_process \"%.200s\" is not an absolute path; write one",
			command[0]);
	return fetch_process_start(env->loop, &process, done, arg, ret, err);
}

static int start(const struct fetch_env *env, const struct config_node_credentials *config,
		 fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	_cleanup_(fetch_profile_done) struct fetch_profile profile = {};
	struct files files = files_of(config);
	int r = read_profile(&files, &profile);

	if (r < 0)
		return pc_err_set(err, r, "cannot read %.300s or %.300s: %s", files.credentials,
				  files.config, strerror(-r));
	if (profile.access_key_id && profile.secret_access_key)
		return use_keys(env, &profile, done, arg, ret);
	if (profile.credential_process)
		return use_process(env, &profile, done, arg, ret, err);
	return pc_err_set(err, -ENOENT, "profile %s has no keys", files.profile);
}

static uint64_t version_of_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 1;
	return (uint64_t)st.st_ino * 31 + (uint64_t)st.st_size * 17 +
	       (uint64_t)st.st_mtim.tv_sec * 1000000007 + (uint64_t)st.st_mtim.tv_nsec;
}

static uint64_t version(const struct config_node_credentials *config)
{
	struct files files = files_of(config);

	return version_of_file(files.credentials) * 3 + version_of_file(files.config);
}

const struct fetch_place fetch_place_file = {
	.has_some = has_some, .start = start, .version = version};
