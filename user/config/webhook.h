/* SPDX-License-Identifier: Apache-2.0 */
/* What the admission webhook puts into pods: the section webhook: of the configuration file. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/k8s_name.h"

enum config_webhook_style {
	CONFIG_WEBHOOK_CONTAINER, /* the variables of EKS Pod Identity */
	CONFIG_WEBHOOK_WEB_IDENTITY, /* those of IRSA, with the agent as STS */
};

struct config_webhook {
	enum config_webhook_style style;
	bool override_irsa; /* take IRSA's variables out, instead of leaving such containers alone */
	bool ipv6; /* pods reach the agent by IPv6 */
	char region[64]; /* AWS_REGION; empty: is not set */
	/* NAMESPACE/NAME of a ConfigMap for EKS's own webhook; empty: none */
	char stock_config_map[K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE];
	uint32_t expiration; /* of tokens, in seconds: 600 to 86400 */
};
