# SPDX-License-Identifier: Apache-2.0
# The benchmark: prints, asserts nothing. docs/bench/README.md says how it is done.

BENCH_TOOLS := $(patsubst tests/bench/%.c,$(O)/bench/%,$(wildcard tests/bench/*.c))
BENCH_OUT := $(O)/bench/results

$(O)/bench/%: tests/bench/%.c $(O)/libpodcred.a | $(O)/.deps-bench
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -g $(lib_INC) -Iuser -Ibpf/api -MMD -MP -MF $@.d -o $@ $< \
		$(O)/libpodcred.a -lbpf -lelf -lz $(BENCH_LIBS)
$(O)/bench/ask: BENCH_LIBS := -lcurl -pthread
-include $(BENCH_TOOLS:=.d)

.PHONY: bench docs/bench
bench: all $(BENCH_TOOLS) ## podcred, iptables and nftables side by side; results in build/bench/results
	$(Q)O=$(abspath $(O)) tests/bench/run.sh $(abspath $(BENCH_OUT))

.PHONY: bench-names
bench-names: all | $(O)/.deps-bench $(O)/.deps-test ## how long pods wait for their names; nodes with many pods (SIZES)
	$(Q)O=$(abspath $(O)) tests/bench/names.sh

.PHONY: bench-fetch docs/bench/fetch.md
bench-fetch: all $(BENCH_TOOLS) | $(O)/.deps-bench $(O)/.deps-test ## credentials from the cache, and pods that all start at once (ROUNDS, PODS)
	$(Q)O=$(abspath $(O)) tests/bench/fetch.sh

docs/bench/fetch.md: all $(BENCH_TOOLS) | $(O)/.deps-bench $(O)/.deps-test
	$(Q)O=$(abspath $(O)) tests/bench/fetch.sh --markdown >$@.tmp && mv $@.tmp $@

.PHONY: bench-broker
bench-broker: all $(BENCH_TOOLS) | $(O)/.deps-bench $(O)/.deps-test ## answers of podcred broker, cached and not (PODS, MS)
	$(Q)O=$(abspath $(O)) tests/bench/broker.sh

.PHONY: bench-control
bench-control: all $(BENCH_TOOLS) | $(O)/.deps-bench $(O)/.deps-test ## answers of the webhook and of the API of podcred control (ASSOCIATIONS, MS)
	$(Q)O=$(abspath $(O)) tests/bench/control.sh

.PHONY: bench-association
bench-association: all | $(O)/.deps-bench $(O)/.deps-test ## how soon an association counts, and that it was deleted (ROUNDS)
	$(Q)O=$(abspath $(O)) tests/bench/association.sh

docs/bench: bench ## the same, and the results become those of docs/bench
	$(Q)cp $(BENCH_OUT)/*.svg $(BENCH_OUT)/results.json $(BENCH_OUT)/results.md $@
