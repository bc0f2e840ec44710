// SPDX-License-Identifier: Apache-2.0
/* MODULES: fetch config yaml base */
/* LIBS: -lyaml */
/* What fetch reads of shared credentials files, command lines and programs, and the paths of IMDS that it is asked for. The first
 * byte says which. No message repeats a secret. */
#include "fuzz.h"

#include <ctype.h>

#include "base/err.h"
#include "config/credentials.h"
#include "fetch/keys.h"
#include "fetch/metadata.h"
#include "fetch/process.h"
#include "fetch/profile.h"
#include "yaml/tree.h"

/* Stands in the seeds where secrets do. */
#define SECRET "wJalrXUtn/K7MDENG+"

static char *copy_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static void check_value(const char *value)
{
	MUST(!value || (*value && !strchr(value, '\n') && !isspace((unsigned char)*value)));
}

static void try_profile(char *text, bool is_config)
{
	struct fetch_profile profile = {};

	MUST(fetch_profile_read(text, "default", is_config, &profile) == 0);
	MUST(profile.found || (!profile.access_key_id && !profile.other && !profile.region));
	check_value(profile.access_key_id);
	check_value(profile.secret_access_key);
	check_value(profile.session_token);
	check_value(profile.credential_process);
	fetch_profile_done(&profile);
}

static void try_words(char *text, size_t size)
{
	const char *words[FETCH_WORDS_MAX + 1];
	size_t n = 0, len = 0;

	if (fetch_split_command(text, words) < 0)
		return;
	for (; words[n]; n++)
		len += strlen(words[n]) + 1;
	MUST(n && n <= FETCH_WORDS_MAX && len <= size + 1);
}

static void try_process(const char *text, size_t size)
{
	struct fetch_result result = {};
	struct yml_tree *tree = NULL;
	struct pc_err err = {};

	if (fetch_process_parse(text, size, 1767323045, true, &tree, &result, &err) < 0) {
		MUST(*err.msg && !strstr(err.msg, SECRET));
		return;
	}
	MUST(fetch_is_access_key_id(result.access_key_id));
	MUST(fetch_is_secret(result.secret_access_key, FETCH_SECRET_MAX));
	MUST(fetch_is_secret(result.session_token, FETCH_TOKEN_MAX));
	MUST(!result.expiration == !result.good_ns);
	yml_tree_free(tree);
}

static void try_metadata(const char *path)
{
	struct config_credentials config = {.imds = {"meta-data/", "dynamic/", "user-data"},
					    .n_imds = 3};

	if (!fetch_metadata_may(&config, path))
		return;
	MUST(!strncmp(path, "/latest/", 8));
	MUST(!strstr(path, "/iam") || strncmp(path, "/latest/meta-data/iam", 21) != 0);
	MUST(!strstr(path, "//") && !strstr(path, "/../") && !strstr(path, "/./"));
	MUST(!strpbrk(path, "%?# \n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = copy_text(data + 1, size - 1);
	switch (data[0]) {
	case 'c':
	case 'p':
		try_profile(text, data[0] == 'c');
		break;
	case 'w':
		try_words(text, size - 1);
		break;
	case 'm':
		try_metadata(text);
		break;
	default:
		try_process(text, size - 1);
	}
	free(text);
	return 0;
}
