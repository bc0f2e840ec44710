/* SPDX-License-Identifier: Apache-2.0 */
/* The container credentials protocol, which ECS and EKS Pod Identity share. */
#pragma once

#include "agent/service.h"

/* For agent_service.check, once the service knows its path and what else it minds. */
int agent_container_check(struct agent_exchange *x, bool (*path_known)(const char *path));

int agent_container_decide(struct agent_exchange *x);
int agent_container_answer(struct agent_exchange *x);
int agent_container_refuse(struct agent_exchange *x, enum agent_reason reason);
