# SPDX-License-Identifier: Apache-2.0
# Install, uninstall, container image. Paths are those of the Makefile; DESTDIR goes before them.

DATADIR ?= $(PREFIX)/share
COMPDIR ?= $(DATADIR)/bash-completion/completions
DOCDIR  ?= $(DATADIR)/doc/podcred

MAN3 := $(wildcard user/lib/man/*.3)
MAN8 := $(wildcard user/cli/man/*.8)
COMPLETION := $(wildcard user/cli/completion/podcred.bash)
UNITS := $(sort $(wildcard deploy/systemd/*.service deploy/systemd/*.slice deploy/systemd/*.timer))
SYSUSERS := deploy/systemd/podcred.conf
SAMPLES := $(wildcard deploy/systemd/*.yaml)
HEADERS := user/lib/include/podcred/podcred.h bpf/uapi/podcred_uapi.h
LIB_REAL := libpodcred.so.$(VERSION)
# What the image is called, in full: a runtime looks "podcred:1" up as docker.io/library/podcred:1. The default is what
# the manifests in deploy/kubernetes ask for; a registry's name goes before a push.
IMAGE ?= localhost/podcred:$(VERSION)
IMAGE_TAR := $(O)/podcred-image.tar

# What a template (.pc.in, systemd unit) may name.
SUBST = sed -e 's|@VERSION@|$(VERSION)|g' -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
	-e 's|@INCDIR@|$(INCDIR)|g' -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@DOCDIR@|$(DOCDIR)|g'

# $(call put,MODE,FILES,DIRECTORY)
put = $(if $(strip $(2)),$(Q)install -d '$(DESTDIR)$(3)' && install -m $(1) $(2) '$(DESTDIR)$(3)')

.PHONY: install
install: all ## binary, library, headers, man pages and units below DESTDIR and PREFIX
	$(call msg,INSTALL,$(DESTDIR)$(PREFIX))
	$(call put,0755,$(O)/podcred,$(BINDIR))
	$(call put,0644,$(O)/libpodcred.a,$(LIBDIR))
	$(Q)install -m 0755 $(O)/libpodcred.so '$(DESTDIR)$(LIBDIR)/$(LIB_REAL)'
	$(Q)ln -sf $(LIB_REAL) '$(DESTDIR)$(LIBDIR)/$(LIB_SONAME)'
	$(Q)ln -sf $(LIB_SONAME) '$(DESTDIR)$(LIBDIR)/libpodcred.so'
	$(Q)install -d '$(DESTDIR)$(LIBDIR)/pkgconfig'
	$(Q)$(SUBST) user/lib/libpodcred.pc.in >'$(DESTDIR)$(LIBDIR)/pkgconfig/libpodcred.pc'
	$(call put,0644,$(HEADERS),$(INCDIR)/podcred)
	$(call put,0644,$(MAN3),$(MANDIR)/man3)
	$(call put,0644,$(MAN8),$(MANDIR)/man8)
	$(call put,0644,$(SAMPLES),$(DOCDIR))
ifneq ($(COMPLETION),)
	$(Q)install -d '$(DESTDIR)$(COMPDIR)' && install -m 0644 $(COMPLETION) '$(DESTDIR)$(COMPDIR)/podcred'
endif
	$(call put,0644,$(SYSUSERS),$(SYSUSERSDIR))
	$(Q)install -d '$(DESTDIR)$(UNITDIR)'
	$(Q)for unit in $(UNITS); do \
		$(SUBST) "$$unit" >'$(DESTDIR)$(UNITDIR)'/"$${unit##*/}" || exit 1; done
ifeq ($(DESTDIR),)
	$(Q)ldconfig 2>/dev/null || :
endif

.PHONY: uninstall
uninstall: ## remove what install put there; configuration in /etc/podcred stays
	$(call msg,REMOVE,$(DESTDIR)$(PREFIX))
	$(Q)rm -f '$(DESTDIR)$(BINDIR)/podcred' '$(DESTDIR)$(COMPDIR)/podcred' \
		'$(DESTDIR)$(LIBDIR)'/libpodcred.a '$(DESTDIR)$(LIBDIR)'/libpodcred.so \
		'$(DESTDIR)$(LIBDIR)'/$(LIB_SONAME) '$(DESTDIR)$(LIBDIR)'/$(LIB_REAL) \
		'$(DESTDIR)$(LIBDIR)/pkgconfig/libpodcred.pc' \
		$(foreach f,$(HEADERS),'$(DESTDIR)$(INCDIR)/podcred/$(notdir $(f))') \
		$(foreach f,$(MAN3),'$(DESTDIR)$(MANDIR)/man3/$(notdir $(f))') \
		$(foreach f,$(MAN8),'$(DESTDIR)$(MANDIR)/man8/$(notdir $(f))') \
		$(foreach f,$(SAMPLES),'$(DESTDIR)$(DOCDIR)/$(notdir $(f))') \
		$(foreach f,$(SYSUSERS),'$(DESTDIR)$(SYSUSERSDIR)/$(notdir $(f))') \
		$(foreach f,$(UNITS),'$(DESTDIR)$(UNITDIR)/$(notdir $(f))')
	$(Q)for dir in '$(DESTDIR)$(INCDIR)/podcred' '$(DESTDIR)$(DOCDIR)'; do \
		[ ! -d "$$dir" ] || rmdir --ignore-fail-on-non-empty "$$dir"; done
ifeq ($(DESTDIR),)
	$(Q)ldconfig 2>/dev/null || :
endif

.PHONY: image
image: $(IMAGE_TAR) ## container image of this build, without network: build/podcred-image.tar (IMAGE: its name)
# Another name is another archive.
$(O)/.image-name: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' '$(IMAGE)' | cmp -s - $@ || printf '%s\n' '$(IMAGE)' >$@
.PHONY: FORCE
FORCE:
$(IMAGE_TAR): $(O)/podcred $(O)/.image-name deploy/container/build.sh deploy/container/rootfs.sh \
		deploy/container/Containerfile | $(O)/.deps-test
	$(if $(CROSS),$(error the image takes libraries from this machine, which is not $(ARCH)))
	$(call msg,IMAGE,$@)
	$(Q)deploy/container/build.sh $(O)/podcred $@ '$(IMAGE)' $(VERSION)
