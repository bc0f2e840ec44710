/* SPDX-License-Identifier: Apache-2.0 */
/* Where podcred broker is asked: the servers for agents and for metrics, and the certificate. */
#pragma once

#include "daemon/broker.h"

struct broker;
struct http_desk;
struct http_tls;
struct loop;

/* What it points to outlives the door. */
struct broker_door_options {
	const struct daemon_broker_options *options;
	struct loop *loop;
	struct broker *broker;
};

struct broker_door {
	const struct broker_door_options *options;
	struct http_tls *tls; /* NULL: insecure */
	struct http_desk *desk, *health;
	char *certificate; /* as it is in force */
};

/* All but options is zero. -errno, with err; it is to be closed all the same. */
int daemon_broker_door_open(struct broker_door *door, struct pc_err *err);

/* Takes the certificate of its file, if that is another one now. */
void daemon_broker_door_reread(struct broker_door *door);

/* How many requests somebody waits for; no new connections are kept. */
unsigned daemon_broker_door_drain(struct broker_door *door);

void daemon_broker_door_close(struct broker_door *door);
