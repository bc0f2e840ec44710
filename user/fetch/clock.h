/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, the dice and the timer of a cache on a loop. */
#pragma once

#include "fetch/cache.h"

struct loop;
struct fetch_ticker;

/* -ENOMEM and the like. */
int fetch_ticker_new(struct loop *loop, struct fetch_ticker **ret);

/* For the options of the cache. */
struct fetch_clock fetch_ticker_clock(struct fetch_ticker *ticker);

/* Whose turns it makes from now on. */
void fetch_ticker_drive(struct fetch_ticker *ticker, struct fetch_cache *cache);

/* Before the loop ends. Returns NULL; NULL is fine. */
struct fetch_ticker *fetch_ticker_free(struct fetch_ticker *ticker);
