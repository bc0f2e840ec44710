# SPDX-License-Identifier: Apache-2.0

LINT_C := $(wildcard bpf/*.c bpf/*/*.h user/*/*.[ch] user/lib/include/*/*.h examples/*.c \
	tests/*/*.[ch])
LINT_SH := $(wildcard mk/*.sh vmlinux/*.sh demo/*.sh tests/*.sh tests/*/*.sh deploy/*/*.sh) .ci/run

.PHONY: lint lint-format lint-shell lint-tidy lint-layers lint-functions lint-spdx
lint: lint-spdx lint-layers lint-functions lint-globals lint-commits lint-shell lint-format lint-tidy ## format, static analysis, layers, licences
lint-format: | $(O)/.deps-lint
	$(call msg,LINT,clang-format)
	$(Q)clang-format-14 --dry-run -Werror $(LINT_C)
# As many at a time as there are CPUs, or as the caller's -j says.
LINT_JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
# A stamp for each file that passed, so that only what has changed is looked at again.
SH_SOURCED := $(shell grep -rhoE 'shellcheck source=[^ ]+' $(LINT_SH) | sed 's/.*=//' | sort -u)
SH_OK := $(LINT_SH:%=$(O)/lint/%.ok)
TIDY_OBJS := $(ALL_OBJS) $(lib_OBJS)
TIDY_OK := $(TIDY_OBJS:$(O)/%.o=$(O)/lint/%.ok)

lint-shell: | $(O)/.deps-lint
	$(call msg,LINT,shellcheck)
	$(Q)$(MAKE) -s -k $(LINT_JOBS) $(SH_OK)
$(SH_OK): $(O)/lint/%.ok: % $(SH_SOURCED) .shellcheckrc
	$(Q)shellcheck -x -P SCRIPTDIR $<
	$(Q)mkdir -p $(@D) && touch $@

# An object is built anew when its source, or a header of it, changes: then it is time to look again.
lint-tidy: $(TIDY_OBJS) | $(O)/.deps-lint
	$(call msg,LINT,clang-tidy)
	$(Q)$(MAKE) -s -k $(LINT_JOBS) $(TIDY_OK)
$(TIDY_OK): $(O)/lint/%.ok: $(O)/%.o .clang-tidy
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy-14 --quiet $*.c -- -std=gnu17 -D_GNU_SOURCE -DPODCRED_VERSION=\"\" -I$(O)/gen \
		$(UNIT_INC) 2>$@.err || { cat $@.err; exit 1; }
	$(Q)rm $@.err && touch $@

# A function's body lies between braces in the first column (lint-format sees to that). Tables of tests may be longer.
FUNCTION_LINES := 60
lint-functions:
	$(call msg,LINT,functions)
	$(Q)! grep -nwE '^[^*"]*goto' $(LINT_C)
	$(Q)awk -v max=$(FUNCTION_LINES) 'FNR == 1 { start = 0 } /^\{/ { start = FNR } \
		/^}/ && start { n = FNR - start - 1; start = 0; \
			if (n > max) { bad = 1; print FILENAME ":" FNR - n ": a function of " n " lines; split it above " max } } \
		END { exit bad }' $(filter-out tests/%,$(LINT_C))

# What the directories of links cannot forbid: relative includes, headers without their module, and a library in more
# than the one module that may speak it. And the Makefile's table of modules against the one in the documentation.
only_in = ! grep -nE '\#include <($(1))' $(filter-out $(wildcard user/$(2)/*),$(wildcard user/*/*.[ch]))
documented = sed -n '/^\#\# Modules/,/^\#\# Maps/s/^| \([a-z]*\) | .* |  *\([a-z, ]*\) *|$$/\1: \2/p' docs/architecture.md | \
	grep -v '^module' | tr -d ,
lint-layers:
	$(call msg,LINT,layers)
	$(Q)! grep -nE '#[[:space:]]*include[[:space:]]*["<]([^">]*/)?\.\./' -r user bpf
	$(Q)! grep -nE '#include "[a-z0-9_]+\.h"' -r user --include='*.[ch]' | grep -vE '"(podcred_[a-z]+|vmlinux|podcred\.skel)\.h"'
	$(Q)$(call only_in,bpf/|linux/bpf\.h,kernel)
	$(Q)$(call only_in,microhttpd|curl/|gnutls/,http)
	$(Q)$(call only_in,openssl/,crypto)
	$(Q)$(call only_in,yaml\.h,yaml)
	$(Q)$(call only_in,expat\.h,aws)
	$(Q)$(call only_in,pcre2\.h,credentials)
	$(Q)! grep -nE '#include "($(subst $() ,|,$(MODULES)))/' -r bpf
	$(Q)mkdir -p $(O)
	$(Q){ $(foreach m,$(MODULES),echo '$(m): $($(m)_DEPS)';) } | sed 's/ *$$//' | sort >$(O)/layers.make
	$(Q)$(documented) | sed 's/ *$$//' | sort | diff -u $(O)/layers.make - || \
		{ echo 'docs/architecture.md has another table of modules than the Makefile'; exit 1; }
# The wall clock is for people: in log lines, trace, and what goes out. These waits know no other.
	$(Q)! grep -nE '(pthread_cond|pthread_mutex|sem|mq)_timed|gettimeofday\(|CLOCK_REALTIME' -r user \
		--include='*.[ch]' --exclude=log.c --exclude=cmd_trace.c --exclude=decision.h

# Two modules with a symbol of one name could not be in one program.
.PHONY: lint-globals
lint-globals: $(ALL_OBJS)
	$(call msg,LINT,globals)
	$(Q)bad=0; $(foreach m,$(MODULES),nm -g --defined-only $($(m)_OBJS) | awk 'NF == 3 { print $$3 }' | \
		grep -vE '^($(subst $() ,|,$(strip $($(m)_PREFIX))))' | sed 's/^/$(m): a global without a prefix of the module: /' | \
		grep . && bad=1;) exit $$bad

# The licence of a file is that of its folder, on its first line, or the second behind #!.
lint-spdx:
	$(call msg,LINT,SPDX)
	$(Q)git ls-files '*.c' '*.h' '*.cc' '*.sh' '*.py' '*.mjs' '*.mk' Makefile .ci/run | grep -v '^vmlinux/.*\.h$$' | \
	{ bad=0; while read -r f; do \
		[ -e "$$f" ] || continue; \
		case $$f in bpf/*|tests/bpf/logic.*|tests/bpf/*.bpf.c) want='GPL-2.0-only OR BSD-2-Clause' ;; *) want=Apache-2.0 ;; esac; \
		line=$$(awk 'NR == 1 && /^#!/ { next } { print; exit }' "$$f"); \
		case $$line in *"SPDX-License-Identifier: $$want"|*"SPDX-License-Identifier: $$want */") ;; \
		*) echo "$$f: the first line is not its licence, $$want"; bad=1 ;; esac; \
	done; exit $$bad; }

# Those of the last commits; a tree without history has none.
.PHONY: lint-commits
lint-commits:
	$(call msg,LINT,commits)
	$(Q)git log -20 --no-merges --format='%h %s' 2>/dev/null | \
	{ bad=0; while read -r commit subject; do \
		[ $${#subject} -le 72 ] || { echo "commit $$commit: the subject is longer than 72 characters: $$subject"; bad=1; }; \
		echo "$$subject" | grep -qE '^[A-Za-z0-9_./-]+(, [A-Za-z0-9_./-]+)*: [^ ].*[^.]$$' || \
			{ echo "commit $$commit: the subject is not \"area: imperative\": $$subject"; bad=1; }; \
	done; exit $$bad; }
