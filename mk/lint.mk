# SPDX-License-Identifier: Apache-2.0

LINT_C := $(wildcard bpf/*.c bpf/*/*.h user/*/*.[ch] user/lib/include/*/*.h examples/*.c \
	tests/*/*.[ch])
LINT_SH := $(wildcard mk/*.sh vmlinux/*.sh demo/*.sh tests/*.sh tests/*/*.sh deploy/*/*.sh) .ci/run

.PHONY: lint lint-format lint-shell lint-tidy lint-layers lint-spdx
lint: lint-spdx lint-layers lint-commits lint-shell lint-format lint-tidy ## format, static analysis, layers, licences
lint-format: | $(O)/.deps-lint
	$(call msg,LINT,clang-format)
	$(Q)clang-format-14 --dry-run -Werror $(LINT_C)
lint-shell: | $(O)/.deps-lint
	$(call msg,LINT,shellcheck)
	$(Q)shellcheck -x -P SCRIPTDIR $(LINT_SH)
lint-tidy: $(SKEL) | $(O)/.deps-lint
	$(call msg,LINT,clang-tidy)
	$(Q)printf '%s\n' $(wildcard user/*/*.c) | xargs -P 2 -n 4 sh -c 'clang-tidy-14 --quiet "$$@" -- \
		-std=gnu17 -D_GNU_SOURCE -DPODCRED_VERSION=\"\" -I$(O)/gen \
		$(UNIT_INC) 2>$(O)/tidy.err || { cat $(O)/tidy.err; exit 1; }' sh

# What -I cannot forbid: relative includes, and BPF outside the one module that may speak it.
lint-layers:
	$(call msg,LINT,layers)
	$(Q)! grep -nE '#[[:space:]]*include[[:space:]]*["<]([^">]*/)?\.\./' -r user bpf
	$(Q)! grep -nlE '#include <(bpf/|linux/bpf\.h)' $(filter-out $(wildcard user/kernel/*),$(wildcard user/*/*.[ch]))
	$(Q)! grep -nE '#include "(user|base|loader|agent)/' -r bpf
	$(Q)! grep -nE '#include <openssl/' -r user tests --include='*.[ch]' --exclude-dir=crypto
	$(Q)! grep -nE '#include <microhttpd' -r user tests --include='*.[ch]' --exclude-dir=http
# The wall clock is for people: in log lines, trace, and what goes out. These waits know no other.
	$(Q)! grep -nE '(pthread_cond|pthread_mutex|sem|mq)_timed|gettimeofday\(|CLOCK_REALTIME' -r user \
		--include='*.[ch]' --exclude=log.c --exclude=cmd_trace.c --exclude=decision.h

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
