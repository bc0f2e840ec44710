# SPDX-License-Identifier: Apache-2.0
"""Use credentials from boto3's default chain at an S3: s3.py URL BUCKET. Prints a line for what it does there, good or bad."""
import sys

import boto3
import botocore.config
import botocore.exceptions


def client(**keys):
    config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.Session(**keys).client("s3", endpoint_url=sys.argv[1], region_name="eu-west-1", config=config)


def attempt(what, function, **more):
    try:
        result = function(Bucket=sys.argv[2], **more)
        print(what, result["Body"].read().decode() if "Body" in result else "done")
    except botocore.exceptions.ClientError as error:
        print(what, error.response["Error"]["Code"])


s3 = client()
attempt("put", s3.put_object, Key="note", Body=b"from the pod")
attempt("get", s3.get_object, Key="note")
attempt("delete", s3.delete_object, Key="note")
good = boto3.Session().get_credentials().get_frozen_credentials()
for what, wrong in (("secret", {"aws_secret_access_key": "x" * 40}), ("token", {"aws_session_token": good.token[:-4] + "AAAA"}),
                    ("no-token", {"aws_session_token": None})):
    keys = {"aws_access_key_id": good.access_key, "aws_secret_access_key": good.secret_key, "aws_session_token": good.token}
    attempt(what, client(**{**keys, **wrong}).get_object, Key="note")
