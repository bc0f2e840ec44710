#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The short form of "make test-soak-churn": pods come and go on addresses and under names of others, and each gets its own.
SOAK_SECONDS=10 SOAK_PODS=40 SOAK_JSON='' exec "$(dirname "$0")/../soak/churn.sh"
