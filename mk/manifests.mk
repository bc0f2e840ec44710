# SPDX-License-Identifier: Apache-2.0
# Manifests, chart and alerts, with the tools that other people read them with. Not in "make test", which has the
# checks that need none of them (tests/e2e/06-manifests.sh): the tools are built once, for some minutes, into CACHE.
MANIFEST_TOOLS := $(CACHE)/tools

DEPS_MANIFESTS := golang-go git ca-certificates python3-venv python3-yaml
$(O)/.deps-manifests: mk/deps.mk mk/manifests.mk mk/deps.sh
	$(Q)mkdir -p $(@D)
	$(Q)mk/deps.sh $(DEPS_MANIFESTS)
	$(Q)touch $@

.PHONY: test-manifests
test-manifests: export INSTALL_DEPS := 1
test-manifests: all | $(O)/.deps-manifests ## kustomize, helm, strict schemas, promtool: what deploy/ is made of; needs a network once
	$(Q)tests/manifests/tools.sh '$(MANIFEST_TOOLS)' helm kustomize promtool validate
	$(Q)O=$(abspath $(O)) TOOLS='$(abspath $(MANIFEST_TOOLS))/bin' tests/run.sh tests/manifests/run.sh

# For the test cluster, whose kubectl may be too old for components.
$(MANIFEST_TOOLS)/bin/%: | $(O)/.deps-manifests
	$(Q)tests/manifests/tools.sh '$(MANIFEST_TOOLS)' $*
