# SPDX-License-Identifier: Apache-2.0
"""Make what a test needs in moto, which is at URL, by the credentials of the environment: admin.py URL KIND NAME..., the kinds being user (with
a key), role (which may do everything), bucket, and session (of a role by its ARN). Prints the key and the session as JSON."""
import json
import sys

import boto3

EVERYTHING = {"Effect": "Allow", "Action": "*"}


def client(name):
    return boto3.client(name, endpoint_url=sys.argv[1])


def policy(**more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{**EVERYTHING, **more}]})


def user(name):
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy(Resource="*"))
    made["key"] = iam.create_access_key(UserName=name)["AccessKey"]


def role(name):
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(Principal={"AWS": "*"}))
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(Resource="*"))


def bucket(name):
    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def session(arn):
    made["session"] = client("sts").assume_role(RoleArn=arn, RoleSessionName="admin")["Credentials"]


iam = client("iam")
made = {}
for kind, name in zip(sys.argv[2::2], sys.argv[3::2]):
    {"user": user, "role": role, "bucket": bucket, "session": session}[kind](name)
print(json.dumps(made, default=str))
