# SPDX-License-Identifier: Apache-2.0
"""Use credentials from boto3's default chain at an S3: objects.py URL VERB:BUCKET/KEY..., the verbs being put, get, delete and
list, whose key is a prefix. Prints for each what came of it, on a line."""
import sys

import boto3
import botocore.config
import botocore.exceptions

CONFIG = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})


def put(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"from a pod")
    return "done"


def get(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def delete(s3, bucket, key):
    s3.delete_object(Bucket=bucket, Key=key)
    return "done"


def list_(s3, bucket, prefix):
    return " ".join(found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []))


VERBS = {"put": put, "get": get, "delete": delete, "list": list_}
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="eu-west-1", config=CONFIG)
for word in sys.argv[2:]:
    verb, _, path = word.partition(":")
    try:
        print(word, VERBS[verb](client, *path.split("/", 1)))
    except botocore.exceptions.ClientError as error:
        print(word, error.response["Error"]["Code"])
