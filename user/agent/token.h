/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stateless IMDSv2 session tokens: base64url(expiry, HMAC-SHA256(key, expiry, pod uid)). They
 * survive a restart of the agent that keeps its key, and are worthless to any other pod. Times are
 * seconds of CLOCK_BOOTTIME, so no step of the wall clock makes a token live longer.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#include "agent/agent.h"

#define TOKEN_SIZE    55 /* 54 characters for 40 bytes, NUL */
#define TOKEN_TTL_MAX 21600

/* Makes of the agent's key that of this boot: another one counts its time from 0 again. -EIO when
 * libcrypto fails. */
int agent_token_key_of_boot(const uint8_t key[AGENT_TOKEN_KEY_SIZE], const char *boot_id,
			    uint8_t ret[AGENT_TOKEN_KEY_SIZE]);

/* 0, -EINVAL for an empty uid, -EIO when libcrypto fails. */
int agent_token_make(const uint8_t key[AGENT_TOKEN_KEY_SIZE], const char *pod_uid, time_t expiry,
		     char ret[TOKEN_SIZE]);

/* 0 and the seconds left, -EBADMSG (not a token of this pod and key), -EKEYEXPIRED. */
int agent_token_check(const uint8_t key[AGENT_TOKEN_KEY_SIZE], const char *pod_uid,
		      const char *token, time_t now, time_t *ret_left);
