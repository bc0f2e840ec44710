// SPDX-License-Identifier: Apache-2.0
#include "fetch/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/loop.h"

struct fetch_ticker {
	struct loop_timer *timer;
	struct fetch_cache *cache;
};

/* Lifetimes go on while the machine sleeps. The timer does not, and is late then, which does no harm: what has
 * ended is not given out. */
static uint64_t now(void *arg)
{
	(void)arg;
	return clock_boot_ns();
}

static uint32_t dice(void *arg)
{
	uint32_t random = UINT32_MAX / 2;

	(void)arg;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		return UINT32_MAX / 2;
	return random;
}

static void wake(void *arg, uint64_t at_ns)
{
	const struct fetch_ticker *ticker = arg;
	uint64_t now_ns = clock_boot_ns();

	loop_timer_after(ticker->timer, at_ns > now_ns ? at_ns - now_ns : 0);
}

static void tick(void *arg)
{
	const struct fetch_ticker *ticker = arg;

	fetch_cache_turn(ticker->cache);
}

int fetch_ticker_new(struct loop *loop, struct fetch_ticker **ret)
{
	struct fetch_ticker *ticker = calloc(1, sizeof(*ticker));
	int r;

	if (!ticker)
		return -ENOMEM;
	r = loop_timer_new(loop, tick, ticker, &ticker->timer);
	if (r < 0)
		free(ticker);
	else
		*ret = ticker;
	return r;
}

struct fetch_clock fetch_ticker_clock(struct fetch_ticker *ticker)
{
	return (struct fetch_clock){.arg = ticker, .now = now, .random = dice, .wake = wake};
}

void fetch_ticker_drive(struct fetch_ticker *ticker, struct fetch_cache *cache)
{
	ticker->cache = cache;
}

struct fetch_ticker *fetch_ticker_free(struct fetch_ticker *ticker)
{
	if (ticker)
		loop_timer_free(ticker->timer);
	free(ticker);
	return NULL;
}
