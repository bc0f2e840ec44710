/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of AWS means to whoever asked, and texts of AWS that may be shown. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Transient ones have been repeated already when a caller sees them. */
enum aws_class {
	AWS_OK,
	AWS_DENIED, /* a trust policy or the caller's rights; may change within seconds */
	AWS_NOT_FOUND, /* EKS Auth: no association, no cluster. IMDS: no such item, no role */
	AWS_KEYS, /* the caller's keys: expired, unknown, or not theirs. New ones may help */
	AWS_TOKEN, /* the web identity or Pod Identity token, likewise */
	AWS_CHAINED, /* more than an hour, asked with keys of a role: ask for 3600 s */
	AWS_TOO_LARGE, /* tags and policy together: fewer may fit */
	AWS_REGION, /* STS is off in this region for this account */
	AWS_INVALID, /* will never work as it is */
	AWS_CLOCK, /* this node's clock is wrong, and the server's has not helped */
	AWS_THROTTLED, /* retry_after_ns may say until when */
	AWS_UNAVAILABLE, /* 5xx, no connection, no answer in time */
	AWS_UNTRUSTED, /* the server's certificate */
	AWS_MALFORMED, /* an answer that cannot be read, or lacks what it must have */
	AWS_INTERNAL, /* of this process: no memory */
	AWS_N_CLASSES
};

/* One machine word: "ok", "denied" ... */
const char *aws_class_name(enum aws_class class);

/* Worth asking again by itself. */
bool aws_class_is_transient(enum aws_class class);

struct aws_result {
	enum aws_class class;
	unsigned status; /* of HTTP; 0: no answer came */
	unsigned attempts;
	const char *code; /* AWS's word, like "AccessDenied"; "" without one */
	const char *detail; /* AWS's text, or what happened to the connection; "" without one */
	const char
		*message; /* one line of the two: host, what happened, next step; "" for AWS_OK */
	const char *request_id; /* what AWS's support asks for; "" without one */
	uint64_t retry_after_ns; /* 0: none was given */
};

/* Which keys or tokens the call is made with: the same code means one or the other. */
enum {
	AWS_CALL_SIGNED = 1,
	AWS_CALL_TOKEN = 2,
};

/* Of an answer that is no success. code: as AWS wrote it, "" if it wrote none. */
enum aws_class aws_classify(unsigned status, const char *code, const char *message, unsigned call);

#define AWS_DETAIL_SIZE 301

/*
 * A text of AWS's as it may be shown: one line of printable ASCII, cut at 300 bytes; without the
 * given secrets (a list up to a NULL; may be NULL), and without anything that looks like a token.
 */
void aws_clean(const char *text, const char *const *secrets, char ret[AWS_DETAIL_SIZE]);
