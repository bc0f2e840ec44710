#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Is the stand-in of AWS, which other tests rely on, as strict as AWS? A real client asks it.
cd "$(dirname "$0")/../.." || exit 1
exec /usr/bin/python3 tests/fake/aws/check.py
