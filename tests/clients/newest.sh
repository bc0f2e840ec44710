#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Is the stand-in of AWS (tests/fake/aws.py) right for the newest botocore too, whose models it then checks requests by?
cd "$(dirname "$0")/../.." || exit 1
exec "${O:-build}/clients/python/bin/python" tests/fake/aws/check.py
