# SPDX-License-Identifier: Apache-2.0
# The benchmark: prints, asserts nothing. `make bench BENCH=--json` for machines; docs/bench.md.

BENCH ?=
BENCH_TOOLS := $(patsubst tests/bench/%.c,$(O)/bench/%,$(wildcard tests/bench/*.c))

$(O)/bench/%: tests/bench/%.c $(O)/libpodcred.a | $(O)/.deps-test
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -g $(lib_INC) -Iuser/base -MMD -MP -MF $@.d -o $@ $< \
		$(O)/libpodcred.a -lbpf -lelf -lz
-include $(BENCH_TOOLS:=.d)

.PHONY: bench
bench: all $(BENCH_TOOLS) ## what podcred costs, against a direct connection and iptables DNAT
	$(Q)O=$(abspath $(O)) tests/bench/bench.sh $(BENCH)

.PHONY: bench-packets
bench-packets: all $(BENCH_TOOLS) $(O)/tests/bypass ## what the packet programs cost all other traffic
	$(Q)O=$(abspath $(O)) tests/bench/packets.sh
