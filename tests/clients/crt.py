# SPDX-License-Identifier: Apache-2.0
"""Ask the default chain of the AWS Common Runtime (aws-c-auth, which the SDKs for C++ and Java's and Python's CRT clients use)
for credentials; with --again once more for each line of the input."""
import sys

import awscrt
from awscrt.auth import AwsCredentialsProvider

if sys.argv[1:] == ["--version"]:
    print(awscrt.__version__)
    sys.exit()
provider = AwsCredentialsProvider.new_default_chain()


def ask():
    try:
        print(f"accessKeyId={provider.get_credentials().result(60).access_key_id}", flush=True)
    except Exception as error:  # pylint: disable=broad-exception-caught
        print(f"none: {error}", flush=True)
        sys.exit(1)


ask()
for _ in sys.stdin if "--again" in sys.argv else ():
    ask()
