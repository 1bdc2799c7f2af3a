"""A server of S3 for tests: `storage.py PORT [checked]`, where `checked` has it look at signatures.

It says where it is and with which keys in a line of JSON, and then answers lines: `bucket` makes the bucket, `save DIR`
writes all objects below a directory, and both answer with the names of the objects there are.
"""

import json
import logging
import os
import pathlib
import sys

BUCKET, REGION = "agents", "eu-central-1"
OWN = {"AWS_ACCESS_KEY_ID": "root", "AWS_SECRET_ACCESS_KEY": "root", "AWS_DEFAULT_REGION": REGION}
os.environ.update(OWN)
is_checked = "checked" in sys.argv
if is_checked:
    # What it takes to make a user, before it asks everybody who they are.
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"

import boto3
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").disabled = True
server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
server.start()
endpoint = "http://%s:%s" % server.get_host_and_port()
keys = {"AccessKeyId": "any", "SecretAccessKey": "any"}
if is_checked:
    iam = boto3.client("iam", endpoint_url=endpoint)
    iam.create_user(UserName="spanlight")
    may = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_user_policy(UserName="spanlight", PolicyName="all", PolicyDocument=policy)
    keys = iam.create_access_key(UserName="spanlight")["AccessKey"]
s3 = boto3.client(
    "s3", endpoint_url=endpoint, aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"]
)
print(json.dumps({"endpoint": endpoint, "key": keys["AccessKeyId"], "secret": keys["SecretAccessKey"]}), flush=True)

for line in sys.stdin:
    command, *arguments = line.split()
    if command == "bucket":
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    names = [found["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for found in page.get("Contents", [])]
    for name in names if command == "save" else []:
        path = pathlib.Path(arguments[0], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = s3.get_object(Bucket=BUCKET, Key=name)
        assert answer["ContentType"] == "application/vnd.apache.parquet", answer["ContentType"]
        path.write_bytes(answer["Body"].read())
    print(json.dumps(names), flush=True)
