#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every known way to a guarded address, with podcred: what arrives is compared with what this kernel's
# features can stop.
exec "$(dirname "$0")/../bypass/run.sh" --column podcred
