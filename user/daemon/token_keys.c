// SPDX-License-Identifier: Apache-2.0
#include "daemon/token_keys.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/plural.h"
#include "config/credentials.h"

#define FILE_MAX 65536 /* more than a key set may have */

static void say(const char *path, const struct agent_trusted *trusted)
{
	log_info("%s: %zu key%s to verify tokens with", path, trusted->keys, plural(trusted->keys));
	if (trusted->unusable)
		log_warn("%s: %zu key%s cannot be used: %s; tokens signed with such a key are "
			 "refused",
			 path, trusted->unusable, plural(trusted->unusable), trusted->defect);
}

int daemon_token_keys_read(struct agent_server *server, const char *path,
			   const struct config_credentials *config, struct pc_err *err)
{
	const char *issuers[CONFIG_MAX_ISSUERS];
	struct agent_token_trust trust = {
		.verify = AGENT_VERIFY_JWKS,
		.issuers = issuers,
		.n_issuers = config->tokens.n_issuers,
		.audience = config->tokens.audience,
		.sts_audience = config->web_identity_audience,
	};
	_cleanup_free_ char *text = NULL;
	struct agent_trusted trusted;
	int r = file_read(path, FILE_MAX, &text, &trust.jwks_len);

	if (r < 0)
		return pc_err_set(err, r,
				  "cannot read %s: %s; it is what \"kubectl get --raw "
				  "/openid/v1/jwks\" prints",
				  path, strerror(-r));
	trust.jwks = text;
	for (size_t i = 0; i < trust.n_issuers; i++)
		issuers[i] = config->tokens.issuers[i];
	r = agent_server_trust(server, &trust, &trusted, err);
	if (r < 0)
		return pc_err_prefix(err, r, "%s", path);
	say(path, &trusted);
	return 0;
}
