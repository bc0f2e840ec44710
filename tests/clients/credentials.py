# SPDX-License-Identifier: Apache-2.0
"""Ask boto3's default chain for credentials, and print whose they are."""
import sys

import boto3

credentials = boto3.Session().get_credentials()
if credentials is None:
    print("none")
    sys.exit(1)
print(f"accessKeyId={credentials.get_frozen_credentials().access_key} method={credentials.method}")
