/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: input in pieces, and checks that end the run with a finding. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold of every answer. libFuzzer keeps the input when it does not. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Input that is read from the front. Beyond its end there are zeros. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

static inline void fuzz_bytes(struct fuzz_input *in, void *ret, size_t size)
{
	size_t have = in->size < size ? in->size : size;

	memset(ret, 0, size);
	if (have)
		memcpy(ret, in->data, have);
	in->data += have;
	in->size -= have;
}

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	uint8_t byte;

	fuzz_bytes(in, &byte, 1);
	return byte;
}

/* Exactly those bytes on the heap: a read behind the end is caught. To be freed. */
static inline void *fuzz_copy(const void *data, size_t size)
{
	void *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* Bytes as a string, which a NUL ends early, in memory that ends with it. To be freed. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	size_t len = size ? strnlen((const char *)data, size) : 0;
	char *text = malloc(len + 1);

	if (!text)
		abort();
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

/* Up to the next newline, or all that is left. To be freed. */
static inline char *fuzz_line(struct fuzz_input *in)
{
	const uint8_t *end = in->size ? memchr(in->data, '\n', in->size) : NULL;
	size_t len = end ? (size_t)(end - in->data) : in->size;
	char *line = fuzz_string(in->data, len);

	len += end != NULL;
	in->data += len;
	in->size -= len;
	return line;
}
