# SPDX-License-Identifier: Apache-2.0
# podcred: one BPF object, one binary, one library. `make help` lists the targets.

VERSION := 0.1.0

# ---- settings, each may be given on the command line (docs/hacking.md has the table) ----
HOST_ARCH := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
ARCH      ?= $(HOST_ARCH)
CROSS     := $(filter-out $(HOST_ARCH),$(ARCH))
O         ?= build$(if $(CROSS),-$(ARCH))
PREFIX    ?= /usr/local
BINDIR    ?= $(PREFIX)/bin
LIBDIR    ?= $(PREFIX)/lib
INCDIR    ?= $(PREFIX)/include
MANDIR    ?= $(PREFIX)/share/man
UNITDIR   ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
DESTDIR   ?=
V         ?= 0
ifneq ($(CROSS),)
include mk/cross.mk
endif
CC        := $(if $(filter default,$(origin CC)),$(or $(CROSS_CC),gcc),$(CC))
AR        := $(if $(filter default,$(origin AR)),$(or $(CROSS_AR),ar),$(AR))
CLANG     ?= clang-14
LLVM_STRIP ?= llvm-strip-14
BPFTOOL   ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
VMLINUX_H ?= vmlinux
WERROR    ?= -Werror
CFLAGS    ?= -O2 -g
LDFLAGS   ?=
SANITIZE  ?=

ifeq ($(V),1)
Q :=
msg =
else
Q := @
msg = @printf '  %-8s %s\n' '$(1)' '$(2)'
endif

# ---- flags ----
PREFIX_MAP := -ffile-prefix-map=$(CURDIR)=.
WARN := -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
HARDEN_x86 := -fcf-protection=full
HARDEN_arm64 := -mbranch-protection=standard
HARDEN := -fPIE -fstack-protector-strong $(HARDEN_$(ARCH))
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# SANITIZE=address,undefined (or thread) makes a build to test with, in an O of its own; the targets
# of mk/sanitize.mk do. Fortified calls go round the sanitizer's checks, so those are off then.
ifneq ($(SANITIZE),)
INSTRUMENT := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
FORTIFY := -U_FORTIFY_SOURCE
endif
BASE_CFLAGS := -std=gnu17 -D_GNU_SOURCE -DPODCRED_VERSION='"$(VERSION)"' $(WARN) $(PREFIX_MAP) $(INSTRUMENT) \
	$(if $(INSTRUMENT),-DPODCRED_INSTRUMENTED)
ALL_CFLAGS = $(BASE_CFLAGS) $(HARDEN) $(FORTIFY) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack $(LDFLAGS)
# No -D__TARGET_ARCH: without it what depends on the architecture (registers) does not compile, so the
# object is the same for all.
BPF_CFLAGS = -target bpf -mcpu=v2 -O2 -g -Wall $(WERROR) -fno-stack-protector \
	-Wno-unused-value -Wno-missing-declarations $(PREFIX_MAP) \
	-Ibpf/uapi -Ibpf/api -Ibpf/lib -I$(VMLINUX_H)
DEPFLAGS = -MMD -MP -MT $@ -MF $(@:.o=.d)
LIBS := -lbpf -lelf -lz -lmicrohttpd -ljansson -lyaml -lmnl -lcrypto -pthread

# ---- user modules: <name>_DEPS is the only include permission (docs/architecture.md) ----
MODULES := base yaml crypto http net config identity kube credentials agent loader daemon doctor cli
base_DEPS     :=
yaml_DEPS     := base
crypto_DEPS   := base
http_DEPS     := base crypto
net_DEPS      := base
config_DEPS   := base yaml
identity_DEPS := base
kube_DEPS     := base yaml identity
credentials_DEPS := base yaml
agent_DEPS    := base http credentials crypto lib/include
loader_DEPS   := base
daemon_DEPS   := base net config identity kube credentials agent loader lib/include
doctor_DEPS   := base net config identity loader daemon
cli_DEPS      := base net config loader daemon doctor
agent_INC     := -Ibpf/uapi
loader_INC    := -Ibpf/uapi -Ibpf/api -I$(O)/gen
daemon_INC    := -Ibpf/uapi -Ibpf/api
doctor_INC    := -Ibpf/uapi -Ibpf/api
cli_INC       := -Ibpf/uapi -Ibpf/api
lib_INC       := -Ibpf/uapi -Iuser/lib/include

.PHONY: all
all: $(O)/podcred $(O)/libpodcred.so $(O)/libpodcred.a $(O)/libpodcred.pc

include mk/deps.mk

# ---- BPF: many .bpf.c, one linked object, one skeleton ----
BPF_OBJS := $(patsubst %.c,$(O)/%.o,$(wildcard bpf/*.bpf.c))
SKEL := $(O)/gen/podcred.skel.h

$(O)/bpf/%.o: bpf/%.c | $(DEPS_STAMP)
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(DEPFLAGS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@
$(O)/bpf/podcred.bpf.o: $(BPF_OBJS)
	$(call msg,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^
$(SKEL): $(O)/bpf/podcred.bpf.o
	$(call msg,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name podcred > $@.tmp && mv $@.tmp $@

# ---- modules ----
# What a module may include is linked into a directory of its own, build/inc/<module>, so that an
# include names the module it comes from: #include "crypto/hmac.h". <name>_API: only these headers.
NAMED_MODULES := crypto http yaml credentials
http_API      := server.h request.h response.h path.h
credentials_API := associations.h credentials.h store.h
define module
$(O)/inc/$(1)/.done: Makefile
	$$(Q)rm -rf $$(@D) && mkdir -p $$(@D)
	$$(Q)$$(foreach d,$$(filter-out lib/include,$$($(1)_DEPS)),$$(if $$($$(d)_API),mkdir $$(@D)/$$(d) && \
		ln -sr $$($$(d)_API:%=user/$$(d)/%) $$(@D)/$$(d),ln -sr user/$$(d) $$(@D)) &&) touch $$@
$(1)_OBJS := $$(patsubst %.c,$(O)/%.o,$$(wildcard user/$(1)/*.c))
$(O)/user/$(1)/%.o: user/$(1)/%.c | $(O)/inc/$(1)/.done $$(DEPS_STAMP) $$(SYSROOT_STAMP)
	$$(call msg,CC,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) -I$(O)/inc/$(1) $$(addprefix -Iuser/,$$(filter-out $$(NAMED_MODULES),$$($(1)_DEPS))) \
		$$($(1)_INC) $$(DEPFLAGS) -c $$< -o $$@
ALL_OBJS += $$($(1)_OBJS)
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))
$(loader_OBJS): | $(SKEL)

$(O)/podcred: $(ALL_OBJS) $(O)/libpodcred.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# ---- libpodcred ----
LIB_SONAME := libpodcred.so.$(firstword $(subst ., ,$(VERSION)))
LIB_MAP := user/lib/libpodcred.map
LIB_NODE := PODCRED_$(word 1,$(subst ., ,$(VERSION))).$(word 2,$(subst ., ,$(VERSION)))
ifneq ($(wildcard $(LIB_MAP)),)
ifeq ($(shell grep -c '^$(LIB_NODE)\b' $(LIB_MAP)),0)
$(error $(LIB_MAP) has no node $(LIB_NODE) for version $(VERSION))
endif
endif

$(O)/user/lib/%.o: user/lib/%.c | $(DEPS_STAMP) $(SYSROOT_STAMP)
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fPIE,$(ALL_CFLAGS)) -fPIC -fvisibility=hidden $(lib_INC) $(DEPFLAGS) -c $< -o $@
lib_OBJS := $(patsubst %.c,$(O)/%.o,$(wildcard user/lib/*.c))

$(O)/libpodcred.a: $(lib_OBJS)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcsD $@ $^
$(O)/libpodcred.so: $(lib_OBJS) $(LIB_MAP)
	$(call msg,LD,$@)
	$(Q)$(CC) -shared $(CFLAGS) $(INSTRUMENT) -Wl,-soname,$(LIB_SONAME) -Wl,--version-script,$(LIB_MAP) \
		-Wl,-z,relro,-z,now $(LDFLAGS) -o $@ $(lib_OBJS)
	$(Q)ln -sf libpodcred.so $(O)/$(LIB_SONAME)
$(O)/libpodcred.pc: user/lib/libpodcred.pc.in Makefile
	$(call msg,GEN,$@)
	$(Q)$(SUBST) $< > $@

include mk/test.mk
include mk/fuzz.mk
include mk/sanitize.mk
include mk/bench.mk
include mk/lint.mk
include mk/install.mk

# Always made anew: it has a line for each file there is.
.PHONY: compile_commands.json clean
compile_commands.json: ## for clangd and the like
	$(Q)$(MAKE) --no-print-directory -nB V=1 SKIP_DEPS=1 all | mk/compdb.py >$@.tmp && mv $@.tmp $@

clean:
	$(Q)rm -rf $(O)

.PHONY: help
help: ## this list
	@echo 'podcred $(VERSION). Targets:'
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## /{printf "  %-14s %s\n",$$1,$$2}' $(MAKEFILE_LIST) | sort
	@echo 'Variables: O PREFIX DESTDIR V CC CLANG BPFTOOL VMLINUX_H CFLAGS WERROR SANITIZE (docs/hacking.md)'

.DELETE_ON_ERROR:
.SECONDARY:
-include $(BPF_OBJS:.o=.d) $(ALL_OBJS:.o=.d) $(lib_OBJS:.o=.d)
