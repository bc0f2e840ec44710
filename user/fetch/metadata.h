/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods may read of the node's instance metadata: the paths that the configuration lists, never those that give away
 * credentials. Documents are kept, as one instance may be asked 1024 packets a second in all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aws_imds;
struct config_credentials;
struct fetch_metadata;

/* path: as IMDS is asked: "/latest/meta-data/placement/region", without escapes and dots. */
bool fetch_metadata_may(const struct config_credentials *config, const char *path);

enum fetch_document_class {
	FETCH_DOCUMENT,
	FETCH_DOCUMENT_NOT_FOUND, /* or not for pods */
	FETCH_DOCUMENT_UNAVAILABLE,
	FETCH_DOCUMENT_BUSY, /* too many are asked for */
};

struct fetch_document {
	enum fetch_document_class class;
	const char *body; /* with NUL; NULL: none */
	const char *why; /* one line; empty for FETCH_DOCUMENT */
	uint64_t again_ns; /* it may be another one after that */
};

/* Valid until it returns. */
typedef void fetch_document_fn(void *arg, const struct fetch_document *document);

struct fetch_document_wait;

int fetch_metadata_new(struct aws_imds *imds, const struct config_credentials *config,
		       struct fetch_metadata **ret);

/* Nobody is called. Returns NULL; NULL is fine. */
struct fetch_metadata *fetch_metadata_free(struct fetch_metadata *metadata);

/* done is called once, perhaps before this has returned: then *ret is NULL. */
void fetch_metadata_get(struct fetch_metadata *metadata, const char *path, fetch_document_fn *done,
			void *arg, struct fetch_document_wait **ret);

/* Returns NULL; NULL is fine. */
struct fetch_document_wait *fetch_document_wait_cancel(struct fetch_document_wait *wait);
