# SPDX-License-Identifier: Apache-2.0
"""Ask boto3's default chain for credentials, and print whose they are; with --again once more for each line of the input."""
import sys

import boto3

if sys.argv[1:] == ["--version"]:
    print(boto3.__version__)
    sys.exit()
credentials = boto3.Session().get_credentials()
if credentials is None:
    print("none")
    sys.exit(1)
print(f"accessKeyId={credentials.get_frozen_credentials().access_key} method={credentials.method}", flush=True)
for _ in sys.stdin if "--again" in sys.argv else ():
    print(f"accessKeyId={credentials.get_frozen_credentials().access_key}", flush=True)
