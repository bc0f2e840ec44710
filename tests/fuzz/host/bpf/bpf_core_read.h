/* SPDX-License-Identifier: Apache-2.0 */
/* In place of libbpf's header. The targets give no kernel structs; nothing is relocated. */
#pragma once

#define FUZZ_READ_1(p, a)	     ((p)->a)
#define FUZZ_READ_2(p, a, b)	     ((p)->a->b)
#define FUZZ_READ_PICK(a, b, n, ...) n
#define BPF_CORE_READ(p, ...)	     FUZZ_READ_PICK(__VA_ARGS__, FUZZ_READ_2, FUZZ_READ_1)(p, __VA_ARGS__)
#define BPF_CORE_READ_INTO(to, p, a) __builtin_memcpy((to), &(p)->a, sizeof(*(to)))
#define bpf_core_field_exists(field) 1
#define FUZZ_OFFSET_1(field)	     0
#define FUZZ_OFFSET_2(type, field)   offsetof(type, field)
#define bpf_core_field_offset(...)                                                                 \
	FUZZ_READ_PICK(__VA_ARGS__, FUZZ_OFFSET_2, FUZZ_OFFSET_1, )(__VA_ARGS__)
