// SPDX-License-Identifier: Apache-2.0
/* MODULES: upstream base */
/* LIBS: -ljansson */
/* Messages between serve and fetch: what is accepted says the same when it is written out and read again. */
#include "fuzz.h"

#include <errno.h>

#include "base/text.h"
#include "upstream/message.h"

static void check_accepted(const struct upstream_message *m)
{
	struct text first = {}, second = {};
	struct upstream_decoded again;
	int r = upstream_encode(m, &first);

	if (r == 0) {
		MUST(first.len <= UPSTREAM_MESSAGE_MAX);
		MUST(upstream_decode(first.data, first.len, &again, NULL) == 0);
		MUST(again.m.type == m->type);
		MUST(upstream_encode(&again.m, &second) == 0);
		MUST(first.len == second.len && !memcmp(first.data, second.data, first.len));
		upstream_decoded_done(&again);
	} else {
		MUST(r == -EMSGSIZE); /* escapes take more room than the bytes did */
	}
	text_done(&first);
	text_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct upstream_decoded d = {.json = (void *)4711};
	char *copy = fuzz_copy(data, size);
	struct pc_err err = {};
	int r = upstream_decode(copy, size, &d, &err);

	if (r == 0) {
		check_accepted(&d.m);
		upstream_decoded_done(&d);
	} else {
		MUST(r == -EINVAL && err.msg[0] && d.json == (void *)4711);
	}
	free(copy);
	return 0;
}
