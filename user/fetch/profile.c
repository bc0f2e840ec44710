// SPDX-License-Identifier: Apache-2.0
#include "fetch/profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"

void fetch_profile_done(struct fetch_profile *p)
{
	secret_free(p->access_key_id);
	secret_free(p->secret_access_key);
	secret_free(p->session_token);
	secret_free(p->credential_process);
	free(p->region);
	*p = (struct fetch_profile){};
}

#define BLANKS " \t\r\v\f"

/* Without blanks at either end. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, BLANKS);
	for (len = strlen(s); len && strchr(BLANKS, s[len - 1]); len--)
		;
	s[len] = '\0';
	return s;
}

static bool is_section(char *line, const char *name, bool is_config)
{
	char *title = line + 1, *end = strchr(line, ']');

	if (!end)
		return false;
	*end = '\0';
	title = trim(title);
	if (is_config && !strncmp(title, "profile", 7) && (title[7] == ' ' || title[7] == '\t'))
		title = trim(title + 7);
	else if (is_config && strcmp(title, "default") != 0)
		return false;
	return !strcmp(title, name);
}

static int set(char **member, const char *value)
{
	if (!*value)
		return 0;
	secret_free(*member);
	*member = strdup(value);
	return *member ? 0 : -ENOMEM;
}

static bool is_other(const char *key)
{
	return !strcmp(key, "role_arn") || !strncmp(key, "sso_", 4) ||
	       !strcmp(key, "web_identity_token_file") || !strcmp(key, "login_session");
}

static int take(const char *key, const char *value, struct fetch_profile *p)
{
	const struct {
		const char *key;
		char **member;
	} keys[] = {
		{"aws_access_key_id", &p->access_key_id},
		{"aws_secret_access_key", &p->secret_access_key},
		{"aws_session_token", &p->session_token},
		{"credential_process", &p->credential_process},
		{"region", &p->region},
	};

	p->other = p->other || is_other(key);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(key, keys[i].key))
			return set(keys[i].member, value);
	return 0;
}

/* Lines that begin with a blank continue a value, or are settings below one; none of ours has such. */
static int read_line(char *line, struct fetch_profile *p)
{
	char *equals = strchr(line, '=');

	if (!equals || line[0] == ' ' || line[0] == '\t')
		return 0;
	*equals = '\0';
	line = trim(line);
	for (char *c = line; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return take(line, trim(equals + 1), p);
}

int fetch_profile_read(char *text, const char *name, bool is_config, struct fetch_profile *ret)
{
	bool inside = false;
	char *line;
	int r = 0;

	while (r == 0 && (line = strsep(&text, "\n"))) {
		if (line[0] == '#' || line[0] == ';')
			continue;
		if (line[0] == '[') {
			inside = is_section(line, name, is_config);
			ret->found = ret->found || inside;
		} else if (inside) {
			r = read_line(line, ret);
		}
	}
	return r;
}

/* ---- a command line ---- */

/* Copies one word down to *to; the character after it, or -EINVAL. */
static int copy_word(char **from, char **to)
{
	char quote = '\0', *in = *from, *out = *to;

	for (; *in && (quote || !strchr(" \t", *in)); in++) {
		if (*in == '\\' && quote != '\'' && (!quote || in[1] == '"' || in[1] == '\\') &&
		    in[1])
			*out++ = *++in;
		else if (!quote && (*in == '"' || *in == '\''))
			quote = *in;
		else if (*in == quote)
			quote = '\0';
		else
			*out++ = *in;
	}
	if (quote)
		return -EINVAL;
	*from = in + (*in != '\0');
	*out++ = '\0';
	*to = out;
	return 0;
}

int fetch_split_command(char *line, const char *ret[FETCH_WORDS_MAX + 1])
{
	char *to = line;
	size_t n = 0;

	for (line += strspn(line, " \t"); *line; line += strspn(line, " \t")) {
		if (n == FETCH_WORDS_MAX)
			return -EINVAL;
		ret[n++] = to;
		if (copy_word(&line, &to) < 0)
			return -EINVAL;
	}
	ret[n] = NULL;
	return n ? 0 : -EINVAL;
}
