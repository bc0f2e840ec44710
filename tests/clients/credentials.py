# SPDX-License-Identifier: Apache-2.0
"""Ask boto3's default chain for credentials, and print whose they are; with --again once more for each line of the input.

boto3 does not ask IMDS again for a while when it has got credentials that end soon: 17 minutes, or more, less the 15 before their
end at which it begins to look. So to it, it is 14 minutes later then.
"""
import datetime
import sys

import boto3

LATER = datetime.timedelta(minutes=14)


def now():
    return datetime.datetime.now(datetime.timezone.utc) + LATER


if sys.argv[1:] == ["--version"]:
    print(boto3.__version__)
    sys.exit()
credentials = boto3.Session().get_credentials()
if credentials is None:
    print("none")
    sys.exit(1)
print(f"accessKeyId={credentials.get_frozen_credentials().access_key} method={credentials.method}", flush=True)
for _ in sys.stdin if "--again" in sys.argv else ():
    if credentials.method == "iam-role":
        credentials._time_fetcher = now  # pylint: disable=protected-access
    print(f"accessKeyId={credentials.get_frozen_credentials().access_key}", flush=True)
