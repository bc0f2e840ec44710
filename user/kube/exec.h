/* SPDX-License-Identifier: Apache-2.0 */
/* An exec credential plugin: a program that prints an ExecCredential. It runs beside the loop. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct kube_config;
struct kube_exec;
struct kube_exec_run;
struct loop;
struct pc_err;

struct kube_exec_credential {
	char *token, *certificate, *key; /* NULL: none. To be taken, or else they are wiped */
	uint64_t good_ns; /* for so long from now; 0: nothing is said */
};

void kube_exec_credential_done(struct kube_exec_credential *credential);

/* What a plugin has printed. -EINVAL: err says what is wrong with it, and quotes nothing. */
int kube_exec_decode(const struct kube_exec *exec, const char *text, size_t len,
		     struct kube_exec_credential *ret, struct pc_err *err);

/* error 0: credential. Else -errno, and a line that says what to do. */
typedef void kube_exec_fn(void *arg, int error, const char *why,
			  struct kube_exec_credential *credential);

/*
 * Without a shell, a terminal or our descriptors; what it writes to stderr is dropped, as it may be
 * secret. It may print 256 kB, and has limit_ns; then it is killed, with all that it has started. fn is
 * called once, and not before this has returned. config has to outlive the run.
 */
int kube_exec_start(struct loop *loop, const struct kube_config *config, uint64_t limit_ns,
		    kube_exec_fn *fn, void *arg, struct kube_exec_run **ret, struct pc_err *err);

/* Kills it; fn is not called. Returns NULL; NULL is fine. */
struct kube_exec_run *kube_exec_cancel(struct kube_exec_run *run);
