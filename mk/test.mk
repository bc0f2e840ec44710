# SPDX-License-Identifier: Apache-2.0
# Tests, demo, bench, lint. Unit tests name what they are linked with in comments: whole modules
# (MODULES:), of which the linker takes what is used, or single files (SOURCES:).

UNIT_SRCS := $(wildcard tests/unit/test_*.c)
UNIT_BINS := $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNIT_SRCS))
TEST_TOOLS := $(patsubst tests/e2e/%.c,$(O)/tests/%,$(wildcard tests/e2e/*.c)) $(O)/tests/follow $(O)/tests/tokens \
	$(O)/tests/clock.so $(O)/tests/pause.so
# Those that take longest start first, so that none of them is left to run alone at the end.
E2E_FIRST := $(patsubst %,tests/e2e/%.sh,50-lifecycle 55-degraded 46-policy 28-truth 76-fetch 93-secrets 80-image 40-attack 48-clock 63-names-stay \
	86-fetch-link 27-doctor 49-resolver 65-kube-names 45-starve 83-update 39-path-shapes 47-log)
E2E := $(E2E_FIRST) $(sort $(filter-out $(E2E_FIRST),$(wildcard tests/e2e/*.sh)))
BPF_TESTS := $(patsubst tests/bpf/%.c,$(O)/bpftest/%,$(wildcard tests/bpf/test_*.c))

UNIT_INC := -Iuser -Iuser/lib/include $(BPF_API)
# Unit tests always run under sanitizers: the build's own, or these. Emulated by qemu-user, ASan finds
# no room for its shadow memory.
comma := ,
UNIT_SAN := $(if $(INSTRUMENT),,-fsanitize=$(if $(CROSS),undefined -static-libubsan,address$(comma)undefined) -fno-sanitize-recover=all -fno-omit-frame-pointer)
declared = $(shell sed -n 's|.*/\* $(1): \(.*\) \*/.*|\1|p' $(2))

# The archives of the modules that $(2) names, below $(O)/$(1).
archives = $(patsubst %,$(O)/$(1)/%.a,$(call declared,MODULES,$(2)))

UNIT_CFLAGS := $(BASE_CFLAGS) -g -O1 $(UNIT_SAN) $(UNIT_INC)
$(O)/unit/obj/%.o: %.c | $(O)/.deps-test $(SYSROOT_STAMP)
	$(call msg,UNIT,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) $(DEPFLAGS) -c $< -o $@
define unit_archive
$(O)/unit/lib/$(1).a: $(patsubst %.c,$(O)/unit/obj/%.o,$(wildcard user/$(1)/*.c))
	$$(call msg,AR,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$^
endef
UNIT_MODULES := $(filter-out kernel,$(MODULES))
$(foreach m,$(UNIT_MODULES),$(eval $(call unit_archive,$(m))))

$(O)/unit/%: tests/unit/%.c | $(O)/.deps-test $(SYSROOT_STAMP)
	$(call msg,UNIT,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(call declared,SOURCES,$<) \
		$(call archives,unit/lib,$<) $(call declared,LIBS,$<) -lcmocka -pthread
$(foreach t,$(UNIT_SRCS),$(eval $(patsubst tests/unit/%.c,$(O)/unit/%,$(t)): \
	$(call declared,SOURCES,$(t)) $(call archives,unit/lib,$(t))))
$(O)/unit/header_cxx.o: tests/unit/header_cxx.cc | $(O)/.deps-test
	$(call msg,CXX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)g++ -std=c++11 -Wall -Wextra -Werror $(lib_INC) -c $< -o $@

# netdiag is the one tool that drives a user module, and not what outsiders see.
$(O)/tests/netdiag: $(net_OBJS) $(addprefix $(O)/user/base/,addr.o err.o file.o parse.o)
$(O)/tests/netdiag: TOOL_INC := -Iuser
$(O)/tests/netdiag: TOOL_LIBS := -lmnl
$(O)/tests/%: tests/e2e/%.c $(O)/libpodcred.a | $(O)/.deps-test
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -g $(lib_INC) $(TOOL_INC) -MMD -MP -MF $@.d -o $@ $< $(filter %.o,$^) \
		$(O)/libpodcred.a $(TOOL_LIBS) -pthread

# follow: the pods of a node by the Kubernetes API, for tests with an API server that misbehaves. tokens: what it says of them.
$(O)/tests/follow $(O)/tests/tokens: $(O)/tests/%: tests/kube/%.c $(kube_OBJS) $(credentials_OBJS) $(aws_OBJS) $(crypto_OBJS) $(http_OBJS) $(crypto_OBJS) $(yaml_OBJS) $(identity_OBJS) \
		$(base_OBJS) | $(O)/.deps-test
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -g -Iuser -MMD -MP -MF $@.d -o $@ $(filter %.c %.o,$^) $(LIBS)

$(O)/tests/%.so: tests/lib/%.c | $(O)/.deps-test
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -g -fPIC -shared -o $@ $<

# The bypass suite: a file for each family of rows, one program. And a hijacker in BPF.
BYPASS_SRCS := $(wildcard tests/bypass/*.c)
$(O)/tests/bypass: $(BYPASS_SRCS) tests/bypass/bypass.h | $(O)/.deps-test $(O)/bpftest/answer.bpf.o
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -Wno-missing-field-initializers -O2 -g -o $@ $(BYPASS_SRCS) -pthread

# What a kernel's verifier says to each program.
$(O)/tests/verifier: tests/kernels/verifier.c $(kernel_OBJS) $(base_OBJS) | $(O)/.deps-test
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -g -Iuser $(kernel_INC) -MMD -MP -MF $@.d -o $@ $(filter %.c %.o,$^) \
		-lbpf -lelf -lz -ljansson

# BPF logic: tests/bpf/test_NAME.c drives tests/bpf/NAME.bpf.c through its skeleton.
BPF_TEST_INC := $(BPF_API) -Iuser -I$(O)/bpftest
.SECONDARY: $(foreach x,skel.h bpf.o,$(patsubst tests/bpf/%.bpf.c,$(O)/bpftest/%.$(x),$(wildcard tests/bpf/*.bpf.c)))
$(O)/bpftest/%.bpf.o: tests/bpf/%.bpf.c | $(O)/.deps-test
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(DEPFLAGS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@
$(O)/bpftest/%.skel.h: $(O)/bpftest/%.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@.tmp && mv $@.tmp $@
$(O)/bpftest/test_%: tests/bpf/test_%.c $(O)/bpftest/%.skel.h | $(SYSROOT_STAMP)
	$(call msg,CC,$@)
	$(Q)$(CC) $(BASE_CFLAGS) -O2 -g $(BPF_TEST_INC) -MMD -MP -MF $@.d -o $@ $< -lbpf -lelf -lz -pthread
-include $(UNIT_BINS:=.d) $(patsubst %.c,$(O)/unit/obj/%.d,$(wildcard $(UNIT_MODULES:%=user/%/*.c))) $(TEST_TOOLS:=.d) $(BPF_TESTS:=.d) $(wildcard $(O)/bpftest/*.bpf.d)

# The AWS SDK for JavaScript, a real client of the demo and the tests.
CLIENTS := $(O)/clients/.done
CLIENTS_SRCS := $(filter-out %/matrix.py,$(wildcard tests/clients/*.py tests/clients/*.mjs tests/clients/*.rb tests/clients/*.php)) \
	tests/clients/package.json tests/clients/package-lock.json
$(CLIENTS): $(CLIENTS_SRCS) | $(O)/.deps-test
	$(call msg,NPM,$(@D))
	$(Q)mkdir -p $(@D)
	$(Q)cp $(CLIENTS_SRCS) $(@D)
	$(Q)cd $(@D) && npm ci --no-audit --no-fund --omit=dev --loglevel=error >/dev/null
	$(Q)touch $@

# Tests have nothing in common but the machine, and each waits for something most of the time: two for each CPU.
# JOBS=1: one after another.
JOBS ?= $(shell echo $$((2 * $$(nproc))))
.PHONY: test
test: test-unit-build test-e2e-build ## everything under 15 minutes: unit, BPF logic, end to end
	$(Q)CMOCKA_MESSAGE_OUTPUT=TAP JOBS=$(JOBS) TEST_SECONDS=1200 tests/run.sh $(E2E) $(UNIT_BINS) $(BPF_TESTS)

.PHONY: test-unit-build test-e2e-build test-unit test-e2e
test-unit-build: $(UNIT_BINS) $(O)/unit/header_cxx.o
test-e2e-build: all $(CLIENTS) $(TEST_TOOLS) $(O)/tests/bypass $(BPF_TESTS) | $(O)/.deps-test
test-unit: test-unit-build ## unit tests alone, under ASan and UBSan; needs no root
	$(Q)CMOCKA_MESSAGE_OUTPUT=TAP JOBS=$(JOBS) tests/run.sh $(UNIT_BINS)
test-e2e: test-e2e-build ## end-to-end tests alone
	$(Q)JOBS=$(JOBS) tests/run.sh $(E2E) $(BPF_TESTS)

# SDKs and the API server have suites of their own.
CONFORMANCE := $(shell grep -oE '`(unit|e2e)/[a-z0-9_-]+\.(c|sh): ' docs/conformance.md | tr -d '`: ' | sort -u)
.PHONY: test-conformance
test-conformance: test-unit-build test-e2e-build ## what clients and AWS may do, as docs/conformance.md has it
	$(Q)CMOCKA_MESSAGE_OUTPUT=TAP O=$(abspath $(O)) JOBS=$(JOBS) tests/run.sh \
		$(patsubst unit/%.c,$(O)/unit/%,$(filter unit/%,$(CONFORMANCE))) $(patsubst %,tests/%,$(filter e2e/%,$(CONFORMANCE)))

.PHONY: test-bypass docs/bypass.md
# A column each. Not here: connect4, which is there to compare with, in docs/bypass.md.
test-bypass: all $(O)/tests/bypass $(O)/tests/who ## every known route to a guarded address, with and without podcred
	$(Q)O=$(abspath $(O)) JOBS=$(JOBS) tests/run.sh $(patsubst %,'tests/bypass/run.sh --column %',podcred without bridge unproved) \
		tests/bypass/holes.sh
docs/bypass.md: all $(O)/tests/bypass $(O)/tests/who
	$(Q)O=$(abspath $(O)) tests/bypass/run.sh --markdown $@

.PHONY: test-soak
test-soak: all $(O)/tests/bypass $(O)/tests/hammer ## COUNT=200000 connections beside a hostile neighbour, while pods come and go
	$(Q)O=$(abspath $(O)) V=1 tests/run.sh tests/bypass/soak.sh

SOAK_SECONDS ?= 1800
.PHONY: test-soak-churn
test-soak-churn: all ## pods come and go for SOAK_SECONDS=1800, and each gets its own credentials; kube2iam's way beside it
	$(Q)O=$(abspath $(O)) SOAK_SECONDS=$(SOAK_SECONDS) SOAK_JSON=$(abspath $(O))/soak-churn.json V=1 tests/run.sh tests/soak/churn.sh

.PHONY: test-faults docs/faults.md
test-faults: all $(O)/tests/bypass $(O)/tests/who $(O)/tests/exclusive ## podcred's parts are killed under load
	$(Q)O=$(abspath $(O)) tests/run.sh tests/faults/run.sh
docs/faults.md: all $(O)/tests/bypass $(O)/tests/who $(O)/tests/exclusive
	$(Q)O=$(abspath $(O)) tests/faults/run.sh --markdown $@

.PHONY: test-cluster-faults
test-cluster-faults: all $(O)/tests/follow $(O)/tests/tokens ## an API server that is away, slow, cut off, out of order: no pod is lost
	$(Q)O=$(abspath $(O)) CACHE='$(CACHE)' tests/run.sh tests/kube/faults.sh tests/kube/resolve.sh

.PHONY: test-webhook
test-webhook: all ## the webhook, its certificates and its rights at a real API server, which make test-cluster builds; two minutes
	$(Q)O=$(abspath $(O)) CACHE='$(CACHE)' tests/run.sh tests/kube/webhook.sh

# What is built here, on the kernels of these Debian releases.
KERNELS ?= bullseye bookworm trixie sid
KERNEL_LOGS := $(KERNELS:%=$(O)/kernels/%.log)
VERIFIER_LIMIT ?= 600000
.PHONY: test-kernels test-kernels-build docs/kernels.md verifier
test-kernels-build: test-e2e-build $(O)/tests/verifier | $(O)/.deps-kernels
test-kernels: test-kernels-build ## Debian's kernels from 5.10 on, emulated: identity, enforcement, agent
	$(Q)O=$(abspath $(O)) VERIFIER_LIMIT=$(VERIFIER_LIMIT) KERNELS='$(KERNELS)' tests/run.sh tests/kernels/run.sh; \
		result=$$?; tests/kernels/table.sh kernels $(KERNEL_LOGS) > $(O)/kernels.md && cat $(O)/kernels.md; exit $$result
# The oldest and the newest, for when there is no time for all.
.PHONY: test-kernels-ends
test-kernels-ends:
	$(Q)$(MAKE) --no-print-directory test-kernels KERNELS='$(firstword $(KERNELS)) $(lastword $(KERNELS))'
docs/kernels.md: test-kernels
	$(Q)cp $(O)/kernels.md $@
verifier: test-kernels-build ## instructions that the verifier takes, by program and kernel
	$(Q)O=$(abspath $(O)) VERIFIER_LIMIT=$(VERIFIER_LIMIT) tests/kernels/run.sh --verifier $(KERNELS) >$(O)/verifier.log; \
		result=$$?; grep -v '^1\.\.' $(O)/verifier.log; tests/kernels/table.sh verifier $(O)/kernels/here.log $(KERNEL_LOGS); exit $$result

.PHONY: test-arm64
ARM64_SUITES ?= bookworm trixie
test-arm64: all ## the arm64 build, emulated: unit tests, then a node on Debian's kernels
	$(Q)O=$(abspath $(O)) MAKE='$(MAKE)' tests/arm64/test.sh $(ARM64_SUITES)

# CLUSTER_TESTS: numbered tests, without path and .sh; CLUSTER_NODES: machines to run them on.
.PHONY: test-cluster
CLUSTER_NODES ?= trixie-systemd bookworm-cgroupfs
CLUSTER_TOOLS = $(MANIFEST_TOOLS)/bin/helm $(O)/clients/python/.built
CLUSTER_RUN = O=$(abspath $(O)) HELM='$(abspath $(MANIFEST_TOOLS))/bin/helm' AWS_CLI=$(abspath $(O))/clients/python/bin/aws tests/cluster/run.sh
test-cluster: all image $(CLUSTER_TOOLS) | $(O)/.deps-cluster ## a real Kubernetes with podcred installed; the first time it is built: half an hour
	$(Q)NODES='$(CLUSTER_NODES)' $(CLUSTER_RUN) $(CLUSTER_TESTS)

.PHONY: demo-cluster
demo-cluster: all image $(CLUSTER_TOOLS) | $(O)/.deps-cluster ## a whole cluster from one helm install, and the AWS CLI unmodified; step by step
	$(Q)NODES='$(firstword $(CLUSTER_NODES))' $(CLUSTER_RUN) --demo

# Real clients in their newest versions, from the registries of their languages; and an AWS that others wrote: moto,
# and for policies iam-simulate.
CLIENT_BUILDS := python javascript policies go1 go2 eksctl java rust
CLIENT_STAMPS := $(CLIENT_BUILDS:%=$(O)/clients/%/.built)
.PHONY: test-associations
test-associations: all $(O)/clients/python/.built ## the API of associations by the AWS CLI and boto3, at a real API server, which make test-cluster builds
	$(Q)CACHE='$(CACHE)' tests/run.sh tests/kube/associations.sh

.PHONY: test-clients docs/clients.md
$(CLIENT_STAMPS): $(O)/clients/%/.built: tests/clients/build.sh | $(CLIENTS) $(O)/.deps-clients
	$(call msg,CLIENT,$(@D))
	$(Q)tests/clients/build.sh $* $(abspath $(@D))
	$(Q)touch $@
$(O)/clients/python/.built: tests/clients/requirements.txt
$(O)/clients/javascript/.built: $(wildcard tests/clients/javascript/*) tests/clients/credentials.mjs
$(O)/clients/policies/.built: $(wildcard tests/clients/policies/*)
$(O)/clients/go1/.built: $(wildcard tests/clients/go1/*)
$(O)/clients/go2/.built: $(wildcard tests/clients/go2/*)
$(O)/clients/eksctl/.built: $(wildcard tests/clients/eksctl/*)
$(O)/clients/java/.built: $(wildcard tests/clients/java/*)
$(O)/clients/rust/.built: $(wildcard tests/clients/rust/Cargo.* tests/clients/rust/src/*)
test-clients: all $(CLIENT_STAMPS) ## each AWS SDK that there is asks a pod's credentials, and uses them; eksctl, too; the first time half an hour
	$(Q)O=$(abspath $(O)) tests/run.sh tests/clients/run.sh tests/clients/s3.sh tests/clients/abac.sh tests/clients/eksctl.sh tests/clients/newest.sh
docs/clients.md: all $(CLIENT_STAMPS)
	$(Q)O=$(abspath $(O)) tests/clients/run.sh --markdown $@

# Before a change is called done. CI runs a part of it (.ci/run).
.PHONY: test-all
test-all: ## every suite, including lint; more than an hour
	$(Q)tests/suites.sh lint test test-fuzz test-bypass test-faults test-cluster-faults test-webhook test-asan test-tsan test-valgrind \
		test-kernels test-arm64 test-manifests

.PHONY: demo
demo: all $(CLIENTS) ## the main job on this machine, explained step by step
	$(Q)O=$(abspath $(O)) demo/demo.sh
