# SPDX-License-Identifier: Apache-2.0
# Debian packages. Every build target depends on DEPS_STAMP: it costs one check when all is there. Only the
# targets below install; all others name what is missing. One list after another, also with -j: apt has a lock.
deps demo demo-cluster test test-cluster test-clients: export INSTALL_DEPS := 1

DEPS_LIBS := libbpf-dev libelf-dev zlib1g-dev libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libjansson-dev libexpat1-dev libyaml-dev libpcre2-dev \
	libmnl-dev libssl-dev
DEPS_BUILD := gcc make clang-14 llvm-14 bpftool ca-certificates $(DEPS_LIBS) pkg-config
DEPS_TEST := g++ libcmocka-dev libclang-rt-14-dev iproute2 iptables ipvsadm nftables procps curl openssl python3 python3-boto3 python3-cryptography python3-yaml \
	awscli haproxy default-jdk-headless buildah debootstrap runc nodejs npm jq mandoc systemd
DEPS_KERNELS := qemu-system-x86 cpio kmod
DEPS_CLUSTER := qemu-system-x86 cpio kmod debootstrap buildah e2fsprogs golang-go openssh-client openssl xz-utils gcc libc6-dev dnsmasq-base
DEPS_EMULATE := qemu-user qemu-system-arm cpio kmod
# The cross compiler brings its own; libraries are in the sysroot, and tests are emulated.
ifneq ($(CROSS),)
DEPS_BUILD := gcc-$(subst _,-,$(TRIPLET)) make clang-14 llvm-14 bpftool
DEPS_TEST := $(DEPS_EMULATE)
endif
DEPS_CLIENTS := python3-venv golang-go cargo maven ruby-aws-sdk-core php-cli php-async-aws-core
DEPS_BENCH := conntrack gnuplot-nox iptables nftables python3
DEPS_LINT := clang-format-14 clang-tidy-14 shellcheck
DEPS_CHECK := valgrind

DEPS_STAMP := $(O)/.deps-build
export SKIP_DEPS

$(O)/.deps-build: mk/deps.mk mk/deps.sh
	$(Q)mkdir -p $(@D)
	$(Q)mk/deps.sh $(DEPS_BUILD)
	$(Q)touch $@
$(O)/.deps-test: mk/deps.mk mk/deps.sh | $(O)/.deps-build
	$(Q)mk/deps.sh $(DEPS_TEST)
	$(Q)touch $@
$(O)/.deps-lint: mk/deps.mk mk/deps.sh | $(O)/.deps-build
	$(Q)mkdir -p $(@D)
	$(Q)mk/deps.sh $(DEPS_LINT)
	$(Q)touch $@
$(O)/.deps-bench: mk/deps.mk mk/deps.sh | $(O)/.deps-build
	$(Q)mkdir -p $(@D)
	$(Q)mk/deps.sh $(DEPS_BENCH)
	$(Q)touch $@
$(O)/.deps-kernels: mk/deps.mk mk/deps.sh | $(O)/.deps-test
	$(Q)mk/deps.sh $(DEPS_KERNELS)
	$(Q)touch $@
$(O)/.deps-clients: mk/deps.mk mk/deps.sh | $(O)/.deps-test
	$(Q)mk/deps.sh $(DEPS_CLIENTS)
	$(Q)touch $@

$(O)/.deps-cluster: mk/deps.mk mk/deps.sh | $(O)/.deps-test
	$(Q)mk/deps.sh $(DEPS_CLUSTER)
	$(Q)touch $@

.PHONY: deps
deps: ## install the Debian packages for build, tests and lint
	$(Q)mk/deps.sh $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_LINT) $(DEPS_CHECK) $(DEPS_KERNELS) $(DEPS_BENCH)
