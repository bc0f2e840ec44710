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
CACHE     ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/podcred
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
LIBS := -lbpf -lelf -lz -lmicrohttpd -lgnutls -lcurl -ljansson -lexpat -lyaml -lpcre2-8 -lmnl -lssl -lcrypto -pthread

# ---- user modules ----
# <name>_DEPS is the only include permission, and what docs/architecture.md says ("make lint" compares the two).
# <name>_API: the headers that others may include; without one, all but internal.h.
MODULES := base yaml crypto net config identity http aws upstream kube credentials fetch control broker kernel node resolver agent doctor host daemon cli
base_DEPS        :=
yaml_DEPS        := base
crypto_DEPS      := base
net_DEPS         := base
config_DEPS      := base yaml
identity_DEPS    := base
http_DEPS        := base crypto
aws_DEPS         := base crypto http
upstream_DEPS    := base
kube_DEPS        := base yaml identity http credentials
credentials_DEPS := base yaml crypto aws
fetch_DEPS       := base yaml config credentials aws http kube upstream
control_DEPS     := base crypto aws http kube credentials
broker_DEPS      := base yaml config crypto aws http kube credentials fetch
kernel_DEPS      := base
node_DEPS        := base net config identity kernel
resolver_DEPS    := base net config identity http upstream kube kernel node
agent_DEPS       := base crypto http credentials upstream libpodcred
doctor_DEPS      := base net config identity http kernel node
host_DEPS        := base
daemon_DEPS      := base net config identity aws http kube credentials fetch broker control upstream kernel node resolver agent libpodcred
cli_DEPS         := base net config http kube credentials fetch control broker kernel node resolver doctor host daemon

# Every global symbol begins with one of these; in base and identity each file has its own.
base_PREFIX        := base64_ caps_ file_ k8s_ log_ loop_ net_addr_ net_prefix_ parse_ pc_err_ program_ secret_ text_ timestamp_
yaml_PREFIX        := yml_
crypto_PREFIX      := crypto_
net_PREFIX         := net_
config_PREFIX      := config_
identity_PREFIX    := cgpath_ cgsurvey_ cgtree_ mountinfo_ name_table_ pod_labels_ pod_name_ pod_uid_ registry_
http_PREFIX        := http_
aws_PREFIX         := aws_
upstream_PREFIX    := upstream_
kube_PREFIX        := kube_
credentials_PREFIX := cred_
fetch_PREFIX       := fetch_
control_PREFIX     := chain_ control_ injection_ patch_ eks_
broker_PREFIX      := broker_
kernel_PREFIX      := kern_
node_PREFIX        := node_
resolver_PREFIX    := resolver_
agent_PREFIX       := agent_
doctor_PREFIX      := doctor_
host_PREFIX        := host_
daemon_PREFIX      := daemon_
cli_PREFIX         := cli_ cmd_ main migrate_ pia_

http_API        := client.h desk.h form.h path.h request.h response.h server.h tls.h
upstream_API    := upstream.h message.h
aws_API         := arn.h client.h eks_auth.h endpoint.h error.h imds.h roles_anywhere.h sealed_keys.h sealed_sts.h sigv4.h sts.h
kube_API        := access_review.h annotations.h associations.h client.h cluster_pods.h kubeconfig.h objects.h podlist.h pods.h project.h \
                   role_policies.h token_keys.h token_request.h token_review.h version.h watch.h
credentials_API := association_id.h associations.h choose.h credentials.h edit.h rights.h session.h store.h trust.h
fetch_API       := fetch.h cache.h result.h metadata.h rules.h trust.h
control_API     := admission.h api.h assumable.h certificates.h eks_answer.h eks_request.h eks_store.h webhook.h
broker_API      := broker.h issuer.h reason.h
kernel_API      := load.h status.h features.h maps.h events.h
agent_API       := agent.h
host_API        := host.h

# The headers of the BPF side: bpf/uapi for all that ask a socket, bpf/api for all that look into the maps.
BPF_API := -Ibpf/uapi -Ibpf/api
agent_INC    := -Ibpf/uapi
kernel_INC   := $(BPF_API) -I$(O)/gen
node_INC     := $(BPF_API)
resolver_INC := $(BPF_API)
daemon_INC   := $(BPF_API)
doctor_INC   := $(BPF_API)
cli_INC      := $(BPF_API)
lib_INC      := -Ibpf/uapi -Iuser/lib/include

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
# What a module may include is linked into a directory of its own, build/inc/<module>, so that an include names the
# module it comes from (#include "crypto/hmac.h"), and one that is not allowed does not compile.
api_of = $(or $($(1)_API:%=user/$(1)/%),$(filter-out %/internal.h,$(wildcard user/$(1)/*.h)))
define module
$(1)_MAY := $$(filter-out libpodcred,$$($(1)_DEPS))
$(O)/inc/$(1)/.done: Makefile $$(wildcard user/*/*.h)
	$$(Q)rm -rf $$(@D) && mkdir -p $$(@D) && ln -sr user/$(1) $$(@D)
	$$(Q)$$(foreach d,$$($(1)_MAY),mkdir $$(@D)/$$(d) && ln -sr $$(call api_of,$$(d)) $$(@D)/$$(d) &&) touch $$@
$(1)_OBJS := $$(patsubst %.c,$(O)/%.o,$$(wildcard user/$(1)/*.c))
$(O)/user/$(1)/%.o: user/$(1)/%.c | $(O)/inc/$(1)/.done $$(DEPS_STAMP) $$(SYSROOT_STAMP)
	$$(call msg,CC,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) -I$(O)/inc/$(1) $$(if $$(filter libpodcred,$$($(1)_DEPS)),-Iuser/lib/include) \
		$$($(1)_INC) $$(DEPFLAGS) -c $$< -o $$@
ALL_OBJS += $$($(1)_OBJS)
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))
$(kernel_OBJS): | $(SKEL)

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

include mk/manifests.mk
include mk/test.mk
include mk/fuzz.mk
include mk/sanitize.mk
include mk/bench.mk
include mk/lint.mk
include mk/install.mk

# Always made anew: it has a line for each file there is.
.PHONY: compile_commands.json clean
compile_commands.json: ## for clangd and similar tools
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
