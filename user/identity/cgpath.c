// SPDX-License-Identifier: Apache-2.0
#include "identity/cgpath.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SLICE ".slice"

/* A piece of somebody's text, not terminated. */
struct span {
	const char *s;
	size_t len;
};

static struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static bool span_is(struct span t, const char *word)
{
	return t.len == strlen(word) && memcmp(t.s, word, t.len) == 0;
}

static bool span_has(struct span t, const char *word)
{
	return memmem(t.s, t.len, word, strlen(word)) != NULL;
}

/* Cut prefix off the front, suffix off the end; false: it is not there and t stays as it is. */
static bool span_cut_front(struct span *t, struct span prefix)
{
	if (t->len < prefix.len || memcmp(t->s, prefix.s, prefix.len) != 0)
		return false;
	t->s += prefix.len;
	t->len -= prefix.len;
	return true;
}

static bool span_cut_end(struct span *t, const char *suffix)
{
	size_t len = strlen(suffix);

	if (t->len < len || memcmp(t->s + t->len - len, suffix, len) != 0)
		return false;
	t->len -= len;
	return true;
}

/* "kubepods" or "PREFIX-kubepods", as systemd spells slices without their suffix. */
static bool is_kubepods_base(struct span t)
{
	if (span_is(t, "kubepods"))
		return true;
	if (!span_cut_end(&t, "-kubepods") || t.len == 0)
		return false;
	/* systemd has no slice with an empty part in its name. */
	return t.s[0] != '-' && t.s[t.len - 1] != '-' && !span_has(t, "--");
}

bool cgpath_is_kubepods(const char *name, size_t len)
{
	struct span t = {name, len};

	return span_is(t, "kubepods") || (span_cut_end(&t, SLICE) && is_kubepods_base(t));
}

static const char *const qos_words[] = {
	[CGPATH_QOS_BURSTABLE] = "burstable",
	[CGPATH_QOS_BESTEFFORT] = "besteffort",
};

static enum cgpath_qos qos_of_word(struct span t)
{
	for (int q = CGPATH_QOS_BURSTABLE; q <= CGPATH_QOS_BESTEFFORT; q++)
		if (span_is(t, qos_words[q]))
			return (enum cgpath_qos)q;
	return CGPATH_QOS_NONE;
}

enum cgpath_qos cgpath_qos(const char *root, size_t root_len, const char *name, size_t len)
{
	struct span base = {root, root_len}, t = {name, len};

	if (!span_cut_end(&base, SLICE))
		return qos_of_word(t);
	if (!span_cut_end(&t, SLICE) || !span_cut_front(&t, base) ||
	    !span_cut_front(&t, span_of("-")))
		return CGPATH_QOS_NONE;
	return qos_of_word(t);
}

int cgpath_qos_name(const char *root, enum cgpath_qos qos, char ret_name[CGPATH_NAME_SIZE])
{
	struct span base = span_of(root);
	bool slice = span_cut_end(&base, SLICE);

	if (base.len + sizeof("-besteffort" SLICE) > CGPATH_NAME_SIZE)
		return -ENAMETOOLONG;
	if (slice)
		snprintf(ret_name, CGPATH_NAME_SIZE, "%.*s-%s" SLICE, (int)base.len, base.s,
			 qos_words[qos]);
	else
		snprintf(ret_name, CGPATH_NAME_SIZE, "%s", qos_words[qos]);
	return 0;
}

static enum cgpath_reason uid_of(struct span t, char ret_uid[POD_UID_SIZE], bool *ret_is_static)
{
	bool dash = memchr(t.s, '-', t.len), underscore = memchr(t.s, '_', t.len);

	/* The kubelet refuses such uids for the same reason: they make other pods' names. */
	if (span_has(t, "pod"))
		return CGPATH_UID_POD;
	if (dash && underscore)
		return CGPATH_UID_MIXED;
	if (pod_uid_canonical(t.s, t.len, underscore ? '_' : '-', ret_uid, ret_is_static) < 0)
		return CGPATH_UID_FORM;
	return CGPATH_OK;
}

/* base and unit are slices without suffix: "kubepods-burstable", "kubepods-burstable-podUID". */
static enum cgpath_reason pod_of_slice(struct span base, struct span unit,
				       char ret_uid[POD_UID_SIZE], bool *ret_is_static)
{
	struct span t = unit;

	if (!span_cut_front(&t, base) || !span_cut_front(&t, span_of("-pod")))
		return span_has(unit, "-pod") ? CGPATH_WRONG_SLICE : CGPATH_NOT_A_POD;
	return uid_of(t, ret_uid, ret_is_static);
}

enum cgpath_reason cgpath_pod_component(const char *parent, size_t parent_len, const char *name,
					size_t len, char ret_uid[POD_UID_SIZE], bool *ret_is_static)
{
	struct span base = {parent, parent_len}, t = {name, len};

	if (span_cut_end(&base, SLICE)) {
		if (!span_cut_end(&t, SLICE))
			return CGPATH_NOT_A_POD;
		return pod_of_slice(base, t, ret_uid, ret_is_static);
	}
	if (!span_cut_front(&t, span_of("pod")))
		return CGPATH_NOT_A_POD;
	return uid_of(t, ret_uid, ret_is_static);
}

/* ":RUNTIME:CONTAINER", what a cgroupfs runtime appends when it is given a systemd-style path. */
static bool is_runtime_tail(struct span t)
{
	const char *second;
	size_t rest;

	if (t.len < 4 || t.s[0] != ':')
		return false;
	second = memchr(t.s + 1, ':', t.len - 1);
	if (!second || second == t.s + 1)
		return false;
	rest = t.len - (size_t)(second + 1 - t.s);
	return rest > 0 && !memchr(second + 1, ':', rest);
}

/*
 * A slice that says in its own name that it is a pod below kubepods, whatever stands above it:
 * "[PREFIX-]kubepods[-QOS]-podUID.slice", also with a runtime's tail. False: it is no such name.
 */
static bool split_expanding_slice(struct span t, struct span *ret_base, struct span *ret_unit)
{
	const char *colon = memchr(t.s, ':', t.len);

	if (colon) {
		struct span tail = {colon, t.len - (size_t)(colon - t.s)};

		if (!is_runtime_tail(tail))
			return false;
		t.len -= tail.len;
	}
	if (!span_cut_end(&t, SLICE))
		return false;
	for (size_t i = 0; i + 4 <= t.len; i++) {
		struct span base = {t.s, i}, root = base;

		if (memcmp(t.s + i, "-pod", 4) != 0)
			continue;
		if (!span_cut_end(&root, "-burstable"))
			span_cut_end(&root, "-besteffort");
		if (!is_kubepods_base(root))
			continue;
		*ret_base = base;
		*ret_unit = t;
		return true;
	}
	return false;
}

/* The component at or after *pos; false at the end. Moves *pos behind it. */
static bool next_component(struct span path, size_t *pos, struct span *ret)
{
	size_t start = *pos, end;

	while (start < path.len && path.s[start] == '/')
		start++;
	end = start;
	while (end < path.len && path.s[end] != '/')
		end++;
	*pos = end;
	*ret = (struct span){path.s + start, end - start};
	return end > start;
}

static enum cgpath_reason check_path(struct span path)
{
	struct span c;
	size_t pos = 0;

	if (path.len >= PATH_MAX)
		return CGPATH_TOO_LONG;
	if (path.len == 0)
		return CGPATH_ROOT;
	if (memchr(path.s, '\0', path.len) || memchr(path.s, '\n', path.len))
		return CGPATH_BAD_BYTE;
	if (!next_component(path, &pos, &c))
		return CGPATH_ROOT;
	if (path.s[0] != '/' && c.s[c.len - 1] == ':')
		return CGPATH_PROC_LINE;
	do
		if (span_is(c, ".") || span_is(c, ".."))
			return CGPATH_RELATIVE;
	while (next_component(path, &pos, &c));
	return CGPATH_OK;
}

/* pos is behind the kubepods root of that name. Only the kubelet's own places count: a pod
 * directory further down belongs to whoever made it, inside a container for instance. */
static enum cgpath_reason parse_below(struct span path, size_t pos, struct span root,
				      struct cgpath_pod *ret)
{
	struct span c, parent = root;
	enum cgpath_reason reason;

	if (!next_component(path, &pos, &c))
		return CGPATH_NO_POD;
	if (cgpath_qos(root.s, root.len, c.s, c.len) != CGPATH_QOS_NONE) {
		parent = c;
		if (!next_component(path, &pos, &c))
			return CGPATH_NO_POD;
	}
	reason = cgpath_pod_component(parent.s, parent.len, c.s, c.len, ret->uid, &ret->is_static);
	ret->pod_len = pos;
	ret->pod_start = pos - c.len;
	return reason;
}

enum cgpath_reason cgpath_parse(const char *text, size_t len, struct cgpath_pod *ret)
{
	struct span path = {text, len}, c, base, unit;
	struct cgpath_pod pod = {0};
	enum cgpath_reason reason = check_path(path);
	size_t pos = 0;

	if (reason != CGPATH_OK)
		return reason;
	reason = CGPATH_NOT_KUBEPODS;
	while (next_component(path, &pos, &c)) {
		if (cgpath_is_kubepods(c.s, c.len)) {
			pod.root_len = pos;
			reason = parse_below(path, pos, c, &pod);
			break;
		}
		if (split_expanding_slice(c, &base, &unit)) {
			reason = pod_of_slice(base, unit, pod.uid, &pod.is_static);
			pod.pod_len = pos;
			pod.pod_start = pos - c.len;
			break;
		}
	}
	if (reason == CGPATH_OK)
		*ret = pod;
	return reason;
}

const char *cgpath_reason_text(enum cgpath_reason reason)
{
	static const char *const texts[] = {
#define X(name, text) [CGPATH_##name] = text,
		CGPATH_REASONS(X)
#undef X
	};

	return (size_t)reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason] : "is unknown";
}
