# SPDX-License-Identifier: Apache-2.0
# ARCH other than this machine's: a cross compiler from Debian, and a sysroot with the libraries of
# that architecture (mk/sysroot.sh). Included before CC is used.

DEB_ARCH := $(ARCH:x86=amd64)
triplet_x86 := x86_64-linux-gnu
triplet_arm64 := aarch64-linux-gnu
TRIPLET := $(triplet_$(ARCH))
ifeq ($(TRIPLET),)
$(error ARCH=$(ARCH): podcred is built for x86 and arm64)
endif

SYSROOT ?= $(CACHE)/sysroot/$(DEB_ARCH)-dev
CROSS_CC := $(TRIPLET)-gcc --sysroot=$(SYSROOT)
CROSS_AR := $(TRIPLET)-ar
.DEFAULT_GOAL := all

SYSROOT_STAMP := $(O)/.sysroot
$(SYSROOT_STAMP): mk/deps.mk mk/sysroot.sh
	$(call msg,SYSROOT,$(SYSROOT))
	$(Q)mkdir -p $(@D)
ifeq ($(origin SYSROOT),file)
	$(Q)CACHE='$(CACHE)' mk/sysroot.sh $(DEB_ARCH) dev libc6-dev $(DEPS_LIBS) libcmocka-dev >/dev/null
endif
	$(Q)touch $@

# Fails, with one line, when something cannot be had; builds nothing.
.PHONY: deps-cross
deps-cross: $(O)/.deps-test $(SYSROOT_STAMP)
