# SPDX-License-Identifier: Apache-2.0
# The program as a whole under sanitizers and valgrind, and coverage. Each has a build of its own
# below $(O); the recursion sets O and SANITIZE for it.

$(O)/tests/san-control: tests/san/control.c | $(O)/.deps-test
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -O0 -g -o $@ $< -pthread

# What each subcommand, the agent and the resolver do, well and badly. Not here: real clients (75) and
# the image (80), which run no more of our code; what others compile and link (70); how often
# something happens under load, which a slow binary changes (30, 40, 45, 46, 50).
SAN_E2E := tests/san/agent.sh $(addprefix tests/e2e/,10-identity.sh 15-trace.sh 16-metrics.sh 20-clients.sh \
	23-pod-token-cluster.sh 25-explain.sh 27-doctor.sh 35-netdiag.sh 60-bad-input.sh 63-kube-api.sh 71-associations.sh 76-fetch.sh 77-fetch-cluster.sh 78-migration.sh 77-fetch-node.sh 82-host.sh \
	87-run-fetch.sh 90-run.sh 95-broker.sh 96-assumable.sh 96-broker-node.sh 97-broker-signed.sh 97-control.sh 97-stock-webhook.sh)
SAN_BUILD := all $(TEST_TOOLS) $(O)/tests/san-control

# clang, since with gcc a report of UBSan is lost where ASan is there too and reports go to files.
SAN_CC := CC=$(CLANG) WERROR=-Wno-format-nonliteral

.PHONY: test-asan test-asan-run
test-asan: ## end-to-end tests with a binary under ASan, UBSan and LeakSanitizer
	$(Q)$(MAKE) --no-print-directory O=$(O)/asan $(SAN_CC) SANITIZE=address,undefined test-asan-run
test-asan-run: $(SAN_BUILD) $(CLIENTS)
	$(Q)O=$(abspath $(O)) SAN_CONTROLS="overrun overflow leak" JOBS=$(JOBS) tests/san/run.sh $(SAN_E2E)

# The unit tests of what has threads, and the agent and podcred run under load.
TSAN_UNIT := $(filter $(O)/unit/test_agent_% $(O)/unit/test_pod_token $(O)/unit/test_http_% $(O)/unit/test_lib $(O)/unit/test_loop $(O)/unit/test_net_reset,$(UNIT_BINS))
TSAN_E2E := tests/san/agent.sh tests/e2e/10-identity.sh tests/e2e/16-metrics.sh tests/e2e/35-netdiag.sh tests/e2e/86-fetch-link.sh tests/e2e/90-run.sh

.PHONY: test-tsan test-tsan-run
test-tsan: ## threads of the agent, resolver and library under ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory O=$(O)/tsan $(SAN_CC) SANITIZE=thread test-tsan-run
test-tsan-run: $(SAN_BUILD) $(TSAN_UNIT)
	$(Q)O=$(abspath $(O)) SAN_CONTROLS=race CMOCKA_MESSAGE_OUTPUT=TAP JOBS=$(JOBS) tests/san/run.sh $(TSAN_UNIT) $(TSAN_E2E)

# The release build under memcheck, which sees what was never written.
$(O)/.deps-check: mk/deps.mk mk/deps.sh | $(O)/.deps-build
	$(Q)mkdir -p $(@D)
	$(Q)mk/deps.sh $(DEPS_CHECK)
	$(Q)touch $@

.PHONY: test-valgrind
test-valgrind: all $(O)/tests/san-control | $(O)/.deps-test $(O)/.deps-check ## every subcommand under valgrind's memcheck
	$(Q)O=$(abspath $(O)) tests/run.sh tests/san/valgrind.sh

# Coverage. Counters are mapped into files (%c), so that processes count which are killed, or leave
# with _exit; each process has its own file (%p), in a directory that nobody may write to as well.
COV_FLAGS := -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation
COV_UNIT := $(UNIT_BINS)
COV_E2E := $(filter-out %/05-docs.sh %/30-hammer.sh %/75-aws.sh %/80-image.sh,$(E2E))

.PHONY: coverage coverage-run
coverage: | $(O)/.deps-check ## lines and branches of user/ that the tests run: build/coverage/index.html
	$(Q)$(MAKE) --no-print-directory O=$(O)/cov $(SAN_CC) FORTIFY=-U_FORTIFY_SOURCE INSTRUMENT='$(COV_FLAGS)' coverage-run
coverage-run: $(SAN_BUILD) $(O)/tests/bypass $(COV_UNIT)
	$(Q)O=$(abspath $(O)) tests/san/coverage.sh '$(COV_UNIT)' '$(COV_E2E)'
