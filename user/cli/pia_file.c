// SPDX-License-Identifier: Apache-2.0
/* Associations in the associations file of a machine without a cluster. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "cli/pia.h"
#include "credentials/associations.h"
#include "credentials/edit.h"
#include "kube/project.h"

#define FILE_MOST (16 << 20)
#define NEW_MODE  0640

struct session {
	const struct pia *pia;
	char *path; /* of the file itself, if its name is a link */
	int lock;
	char *text; /* NULL: there is no file yet */
	size_t len;
	unsigned mode;
	uid_t uid;
	gid_t gid;
	struct cred_table *table;
};

static void session_done(struct session *s)
{
	if (s->text)
		explicit_bzero(s->text, s->len);
	free(s->text);
	free(s->path);
	cred_table_unref(s->table);
	cleanup_close(&s->lock);
}

/* ---- the file ---- */

/* Two of these commands do not undo each other. Its directory is locked, as the file itself is replaced. */
static int lock(struct session *s, struct pc_err *err)
{
	_cleanup_free_ char *dir = strdup(s->path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return pc_err_set(err, -ENOMEM, "no memory");
	if (slash)
		slash[slash == dir] = '\0';
	s->lock = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock < 0 || flock(s->lock, LOCK_EX) < 0)
		return pc_err_set(err, -errno, "cannot lock the directory of %s: %s", s->pia->file,
				  strerror(errno));
	return 0;
}

static int read_text(struct session *s, struct pc_err *err)
{
	struct stat st = {.st_mode = NEW_MODE, .st_uid = geteuid(), .st_gid = getegid()};
	int r = stat(s->pia->file, &st) < 0 ? -errno
					    : file_read(s->pia->file, FILE_MOST, &s->text, &s->len);

	s->mode = st.st_mode & 07777;
	s->uid = st.st_uid;
	s->gid = st.st_gid;
	if (r == -ENOENT && s->pia->verb == PIA_CREATE)
		return 0;
	return r < 0 ? pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  s->pia->file, strerror(-r))
		     : 0;
}

static bool is_reading(enum pia_verb verb)
{
	return verb == PIA_LIST || verb == PIA_DESCRIBE || verb == PIA_LIST_TAGS;
}

static int open_file(struct session *s, struct pc_err *err)
{
	int r;

	s->path = realpath(s->pia->file, NULL) ?: strdup(s->pia->file);
	if (!s->path)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = is_reading(s->pia->verb) ? 0 : lock(s, err);

	r = r < 0 ? r : read_text(s, err);
	if (r < 0 || !s->text)
		return r;
	return cred_table_parse(s->pia->file, s->text, s->len, &s->table, err);
}

/* As it was: who may read it decides who sees the keys that may be in it. */
static int write_file(const struct session *s, const struct text *text, struct pc_err *err)
{
	int r = file_write_atomic(s->path, text->data, text->len, s->mode);

	if (r == 0 && s->text && (s->uid != geteuid() || s->gid != getegid()) &&
	    chown(s->path, s->uid, s->gid) < 0)
		r = -errno;
	return r < 0 ? pc_err_set(err, r, "cannot write %s: %s", s->pia->file, strerror(-r)) : 0;
}

/* ---- an entry as an object ---- */

static void set(json_t *spec, const char *key, const char *value)
{
	if (value)
		json_object_set_new(spec, key, json_string(value));
}

static json_t *spec_of(const struct cred_association *a)
{
	static const char *const forms[] = {[CRED_SESSION_POD] = NULL,
					    [CRED_SESSION_SERVICE_ACCOUNT] = "serviceAccount",
					    [CRED_SESSION_EKS] = "eks"};
	json_t *spec = json_object(), *tags = json_object();

	set(spec, "roleArn", a->role_arn);
	set(spec, "targetRoleArn", a->target_role_arn);
	set(spec, "externalId", a->external_id);
	set(spec, "policy", a->policy);
	if (a->disable_session_tags)
		json_object_set_new(spec, "disableSessionTags", json_true());
	if (a->duration != CRED_DURATION_DEFAULT)
		json_object_set_new(spec, "durationSeconds", json_integer(a->duration));
	set(spec, "sessionName", forms[a->session_form]);
	for (size_t i = 0; i < a->n_tags; i++)
		set(tags, a->tags[i].key, a->tags[i].value);
	if (a->n_tags)
		json_object_set(spec, "tags", tags);
	json_decref(tags);
	return spec;
}

static json_t *object_of(const char *name_space, const char *name, const json_t *spec)
{
	return json_pack("{s{ssss} sO}", "metadata", "namespace", name_space, "name", name, "spec",
			 spec);
}

static json_t *show(const struct pia *pia, const struct cred_association *a, bool summary)
{
	_cleanup_json_ json_t *spec = spec_of(a), *object = NULL;

	object = object_of(a->namespace, a->service_account, spec);
	return summary ? pia_show(pia, object, true) : pia_answer(pia, object);
}

/* ---- an entry as text ---- */

static bool is_plain(const char *text)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "_+=,.@:/-";
	size_t len = strlen(text);

	return len > 3 && strspn(text, chars) == len && text[len - 1] != ':' &&
	       strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", text[0]) &&
	       strcasecmp(text, "null") != 0 && strcasecmp(text, "true") != 0 &&
	       strcasecmp(text, "false") != 0;
}

/* Quoted as JSON does it, which YAML reads. */
static void add_value(struct text *t, const json_t *value)
{
	_cleanup_free_ char *quoted = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	const char *text = json_string_value(value);

	text_add(t, text && is_plain(text) ? text : quoted ?: "");
}

static void add_line(struct text *t, const char *key, const json_t *value)
{
	text_addf(t, "%s: ", key);
	add_value(t, value);
	text_add(t, "\n");
}

static char *entry_text(const char *name_space, const char *name, const json_t *spec,
			const struct cred_association *before)
{
	_cleanup_(text_done) struct text t = {.max = 65536};
	const char *key;
	json_t *value;

	text_addf(&t, "namespace: \"%s\"\n", name_space);
	text_addf(&t, "serviceAccount: \"%.100s", name);
	text_add(&t, strlen(name) > 100 ? name + 100 : "");
	text_add(&t, "\"\n");
	json_object_foreach ((json_t *)spec, key, value)
		add_line(&t, key, value);
	if (before && before->source == CRED_SOURCE_WEB_IDENTITY && before->audience) {
		text_add(&t, "webIdentity: {audience: ");
		text_add_string(&t, before->audience);
		text_add(&t, "}\n");
	} else if (before && before->source != CRED_SOURCE_DEFAULT) {
		text_addf(&t, "%s: {}\n", cred_source_name(before->source));
	}
	return text_string(&t);
}

/* ---- verbs ---- */

static const struct cred_association *find(const struct session *s, struct pc_err *err)
{
	const struct cred_association *a =
		s->table ? cred_table_find(s->table, s->pia->name_space, s->pia->service_account)
			 : NULL;

	if (!a)
		pc_err_set(err, -ENOENT, "%s: no association of %s/%s", s->pia->file,
			   s->pia->name_space, s->pia->service_account);
	return a;
}

static int write_entry(const struct session *s, const char *entry, struct pc_err *err)
{
	_cleanup_(text_done) struct text text = {};
	const struct cred_edit edit = {.name = s->pia->file,
				       .text = s->text,
				       .len = s->len,
				       .name_space = s->pia->name_space,
				       .service_account = s->pia->service_account,
				       .entry = entry,
				       .discard_comments = s->pia->discard_comments};
	int r = cred_edit(&edit, &text, err);

	return r < 0 ? r : write_file(s, &text, err);
}

static int put(const struct session *s, const struct cred_association *before, json_t **ret,
	       struct pc_err *err)
{
	_cleanup_json_ json_t *old = before ? spec_of(before) : json_object(), *spec = NULL,
			      *object = NULL;
	_cleanup_free_ char *entry = NULL;
	int r = pia_change(s->pia, old, &spec, err);

	if (r < 0)
		return r;
	entry = entry_text(s->pia->name_space, s->pia->service_account, spec, before);
	if (!entry)
		return pc_err_set(err, -ENOMEM, "no memory, or an entry that is too long");
	r = write_entry(s, entry, err);
	if (r < 0)
		return r;
	object = object_of(s->pia->name_space, s->pia->service_account, spec);
	*ret = pia_answer(s->pia, object);
	return 0;
}

static int create(const struct session *s, json_t **ret, struct pc_err *err)
{
	struct pc_err none = {};

	if (find(s, &none))
		return pc_err_set(err, -EEXIST,
				  "%s: there is an association of %s/%s already; podcred "
				  "association update changes it",
				  s->pia->file, s->pia->name_space, s->pia->service_account);
	return put(s, NULL, ret, err);
}

static int update(const struct session *s, json_t **ret, struct pc_err *err)
{
	const struct cred_association *a = find(s, err);

	if (!a)
		return -ENOENT;
	if (!a->role_arn)
		return pc_err_set(err, -EINVAL,
				  "%s:%u: %s/%s has no roleArn (its source is %s); edit the file "
				  "by hand",
				  s->pia->file, a->line, a->namespace, a->service_account,
				  cred_source_name(a->source));
	return put(s, a, ret, err);
}

static int describe(const struct session *s, json_t **ret, struct pc_err *err)
{
	const struct cred_association *a = find(s, err);

	if (!a)
		return -ENOENT;
	*ret = show(s->pia, a, false);
	return 0;
}

static int delete_one(const struct session *s, json_t **ret, struct pc_err *err)
{
	_cleanup_json_ json_t *before = NULL;
	int r = describe(s, &before, err);

	r = r ?: write_entry(s, NULL, err);
	if (r == 0)
		*ret = TAKE_PTR(before);
	return r;
}

static int list(const struct session *s, json_t **ret, struct pc_err *err)
{
	const struct pia *pia = s->pia;
	json_t *shown = json_array();

	(void)err;
	for (size_t i = 0; i < cred_table_count(s->table); i++) {
		const struct cred_association *a = cred_table_at(s->table, i);

		if ((!pia->name_space || !strcmp(a->namespace, pia->name_space)) &&
		    (!pia->service_account || !strcmp(a->service_account, pia->service_account)))
			json_array_append_new(shown, show(pia, a, true));
	}
	*ret = json_pack("{so}", "associations", shown);
	return 0;
}

int pia_by_file(const struct pia *pia, json_t **ret, struct pc_err *err)
{
	static int (*const verbs[PIA_VERBS])(const struct session *, json_t **, struct pc_err *) = {
		[PIA_CREATE] = create, [PIA_LIST] = list,	   [PIA_DESCRIBE] = describe,
		[PIA_UPDATE] = update, [PIA_DELETE] = delete_one,  [PIA_TAG] = update,
		[PIA_UNTAG] = update,  [PIA_LIST_TAGS] = describe,
	};
	_cleanup_(session_done) struct session s = {.pia = pia, .lock = -EBADF};
	int r = open_file(&s, err);

	return r < 0 ? r : verbs[pia->verb](&s, ret, err);
}
