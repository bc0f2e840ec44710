// SPDX-License-Identifier: Apache-2.0
#include "base/secret_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK	     65536
#define SMALLEST     256
#define CLASSES	     8 /* each twice as large as the one before */
#define SIZE_OF(cls) ((size_t)SMALLEST << (cls))

struct block {
	struct block *next; /* while it is free */
	size_t class;
	uint8_t data[];
};

_Static_assert(sizeof(struct block) == 16, "what is behind it is aligned");
_Static_assert(SIZE_OF(CLASSES - 1) - sizeof(struct block) == SECRET_POOL_MAX, "the largest");

static struct {
	pthread_mutex_t lock;
	struct block *free[CLASSES];
	uint8_t *chunk; /* the one that blocks are cut from */
	size_t left;
	atomic_bool swappable;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *map(int flags)
{
	void *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1,
		       0);

	return p == MAP_FAILED ? NULL : p;
}

/* What is left of the chunk before is not used any more. */
static bool new_chunk(void)
{
	void *chunk = map(MAP_LOCKED);

	if (!chunk) {
		chunk = map(0);
		if (!chunk)
			return false;
		atomic_store(&pool.swappable, true);
	}
	madvise(chunk, CHUNK, MADV_DONTDUMP);
	madvise(chunk, CHUNK, MADV_WIPEONFORK);
	pool.chunk = chunk;
	pool.left = CHUNK;
	return true;
}

static struct block *take(size_t class)
{
	struct block *block = pool.free[class];

	if (block) {
		pool.free[class] = block->next;
		return block;
	}
	if (pool.left < SIZE_OF(class) && !new_chunk())
		return NULL;
	block = (struct block *)pool.chunk;
	pool.chunk += SIZE_OF(class);
	pool.left -= SIZE_OF(class);
	block->class = class;
	return block;
}

void *secret_pool_alloc(size_t size)
{
	struct block *block;
	size_t class = 0;

	if (size > SECRET_POOL_MAX)
		return NULL;
	while (SIZE_OF(class) - sizeof(*block) < size)
		class ++;
	pthread_mutex_lock(&pool.lock);
	block = take(class);
	pthread_mutex_unlock(&pool.lock);
	return block ? block->data : NULL;
}

void *secret_pool_free(void *memory)
{
	struct block *block;

	if (!memory)
		return NULL;
	block = (struct block *)((uint8_t *)memory - offsetof(struct block, data));
	explicit_bzero(block->data, SIZE_OF(block->class) - sizeof(*block));
	pthread_mutex_lock(&pool.lock);
	block->next = pool.free[block->class];
	pool.free[block->class] = block;
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

bool secret_pool_is_swappable(void)
{
	return atomic_load(&pool.swappable);
}
