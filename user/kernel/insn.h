/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of a few instructions, written out: for probes and questions to the kernel. */
#pragma once

#include <linux/bpf.h>

#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOV_IMM(reg, value)	     INSN(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value)
#define MOV_REG(dst, src)	     INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD_IMM(reg, value)	     INSN(BPF_ALU64 | BPF_ADD | BPF_K, reg, 0, 0, value)
#define LOAD(dst, src, off)	     INSN(BPF_LDX | BPF_DW | BPF_MEM, dst, src, off, 0)
#define STORE(dst, src, off)	     INSN(BPF_STX | BPF_DW | BPF_MEM, dst, src, off, 0)
#define STORE_IMM32(dst, off, value) INSN(BPF_ST | BPF_W | BPF_MEM, dst, 0, off, value)
#define JUMP_IF_ZERO(reg, off)	     INSN(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, off, 0)
#define CALL(helper)		     INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define CALL_KERNEL(function)	     INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function)
#define EXIT()			     INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* Two instructions: the address of a map, by descriptor. */
#define LOAD_MAP(reg, fd)                                                                          \
	INSN(BPF_LD | BPF_DW | BPF_IMM, reg, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
