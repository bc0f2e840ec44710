/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a socket-address hook returns, and the errno that the caller of connect(2) sees. */
#pragma once

#include "maps.bpf.h"

#define VERDICT_REFUSE	 0
#define VERDICT_ALLOW	 1
#define VERDICT_REDIRECT 2 /* ours alone: the hook rewrites the address, then allows */

#define ECONNREFUSED 111
#define EACCES	     13
#define EAGAIN	     11
#define EEXIST	     17
#define EINVAL	     22
#define ENOBUFS	     105
#define ENODATA	     61

/* Set by the loader after a trial load: bpf_set_retval came with 5.18. Without it the caller
 * sees EPERM whatever the reason. */
const volatile __u8 have_set_retval __weak = 0;

static __always_inline int refuse(__u32 reason, int error)
{
	count(reason);
	if (have_set_retval)
		bpf_set_retval(-error);
	return VERDICT_REFUSE;
}
