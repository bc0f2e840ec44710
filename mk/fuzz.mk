# SPDX-License-Identifier: Apache-2.0
# Fuzzing: tests/fuzz/fuzz_NAME.c, which names its sources as a unit test does. CONTRIBUTING.md.

FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 2
FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SRCS))
FUZZ_BINS := $(addprefix $(O)/fuzz/fuzz_,$(FUZZ_NAMES))
FUZZ_CFLAGS := $(BASE_CFLAGS) -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all
FUZZ_SAN := address,undefined

# Each source once, whatever targets use it.
$(O)/fuzz/obj/%.o: %.c | $(O)/.deps-test $(SKEL)
	$(call msg,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_SAN) $(UNIT_INC) -I$(O)/gen \
		$(if $(filter tests/fuzz/%,$<),$(call declared,FLAGS,$<)) $(DEPFLAGS) -c $< -o $@

define fuzz_archive
$(O)/fuzz/lib/$(1).a: $(patsubst %.c,$(O)/fuzz/obj/%.o,$(wildcard user/$(1)/*.c))
	$$(call msg,AR,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$^
endef
$(foreach m,$(UNIT_MODULES),$(eval $(call fuzz_archive,$(m))))

define fuzz_target
$(O)/fuzz/fuzz_$(1): $(O)/fuzz/obj/tests/fuzz/fuzz_$(1).o \
		$(patsubst %.c,$(O)/fuzz/obj/%.o,$(call declared,SOURCES,tests/fuzz/fuzz_$(1).c)) \
		$(call archives,fuzz/lib,tests/fuzz/fuzz_$(1).c)
	$$(call msg,LD,$$@)
	$$(Q)$$(CLANG) $$(FUZZ_CFLAGS) -fsanitize=fuzzer,$$(FUZZ_SAN) -o $$@ $$^ \
		$(call declared,LIBS,tests/fuzz/fuzz_$(1).c)
endef
$(foreach n,$(FUZZ_NAMES),$(eval $(call fuzz_target,$(n))))
-include $(shell find $(O)/fuzz/obj -name '*.d' 2>/dev/null)

.PHONY: fuzz test-fuzz test-fuzz-build
test-fuzz-build: $(FUZZ_BINS)
fuzz: test-fuzz-build ## fuzz each parser for a minute; FUZZ_SECONDS=600 for ten
	$(Q)O=$(abspath $(O)) FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_JOBS=$(FUZZ_JOBS) tests/fuzz/run.sh $(FUZZ_NAMES)
test-fuzz: test-fuzz-build ## each parser: its corpus, and 5,000 new inputs, always the same
	$(Q)O=$(abspath $(O)) FUZZ_RUNS=5000 FUZZ_JOBS=$(JOBS) FUZZ_TARGETS='$(FUZZ_NAMES)' \
		tests/run.sh tests/fuzz/run.sh
