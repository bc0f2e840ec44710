/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the role of an association can be had. Control has no rights in any cloud, so podcred broker is asked, which tries it. */
#pragma once

struct control_assumable_call;
struct http_client;
struct pc_err;

/* Strings, none of them empty, are those of whoever asks. The files are read for each question, as others renew them. */
struct control_broker {
	struct http_client *http;
	const char *url; /* https, or http to loopback */
	const char *cluster; /* its name */
	const char *token_file; /* our own token, for the broker */
	const char *ca_file; /* PEM; NULL: whom the system trusts */
};

/* As conditions have it. Texts are valid during the call. */
struct control_assumable {
	const char *status; /* "True", "False", "Unknown" */
	const char *reason; /* one word */
	const char *message; /* one line, not empty */
	unsigned packed_percent; /* of what AWS allows for tags and policy; 0: not known */
};

typedef void control_assumable_fn(void *arg, const struct control_assumable *answer);

/* done is called once, not before this has returned. -errno, with err: a file cannot be read, or no memory. */
int control_assumable_ask(const struct control_broker *broker, const char *name_space,
			  const char *service_account, control_assumable_fn *done, void *arg,
			  struct control_assumable_call **ret, struct pc_err *err);

/* Nobody is called. NULL is fine. */
void control_assumable_cancel(struct control_assumable_call *call);
