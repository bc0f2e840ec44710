/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker as an OIDC issuer: it signs a token for each session, which STS trades for the credentials of a role. STS
 * verifies it by two documents that are published below the issuer's URL.
 */
#pragma once

#include <time.h>

#include "credentials/session.h"

struct broker_issuer;
struct config;
struct pc_err;
struct text;

#define BROKER_ISSUER_LIFE_S 300
#define BROKER_ISSUER_BACK_S 30 /* so old is a new token, as STS's clock may be behind */

/* Where the documents are, below the URL. */
#define BROKER_ISSUER_DISCOVERY ".well-known/openid-configuration"
#define BROKER_ISSUER_KEYS	"keys.json"

/* Reads the file with the keys. config outlives it. -errno with err, which has a line without secrets. */
int broker_issuer_new(const struct config *config, struct broker_issuer **ret, struct pc_err *err);

/* Returns NULL; NULL is fine. */
struct broker_issuer *broker_issuer_free(struct broker_issuer *issuer);

/* The file again. 1: there are other keys in it, which are used from now on; 0; -errno with err: those from before stay. */
int broker_issuer_reread(struct broker_issuer *issuer, struct pc_err *err);

/* The kid of the key that signs. */
const char *broker_issuer_kid(const struct broker_issuer *issuer);

/* For struct fetch_issuer; arg is the issuer. */
int broker_issuer_issue(void *arg, const struct cred_pod *pod, const struct cred_session *session,
			time_t now, char **ret, struct pc_err *err);

/* A document, as JSON, of an absolute path: with or without that of the URL in front. -ENOENT: that is none. */
int broker_issuer_document(const struct broker_issuer *issuer, const char *path, struct text *ret);
