"""The two AWS calls of a vend, as a usual Python handler: no policy, no device, no audit line, no error handling."""

import json
import time

import boto3

dynamodb = boto3.client("dynamodb")
sts = boto3.client("sts")


def handler(event, context):
    caller = event["requestContext"]["authorizer"]["iam"]["userArn"]
    now = time.time_ns() // 1_000
    dynamodb.update_item(
        TableName="limits",
        Key={"PK": {"S": caller}},
        UpdateExpression="SET TAT = :tat, #ttl = :ttl",
        ConditionExpression="attribute_not_exists(PK) OR TAT <= :latest",
        ExpressionAttributeNames={"#ttl": "TTL"},
        ExpressionAttributeValues={
            ":latest": {"N": str(now + 60_000_000)},
            ":tat": {"N": str(now)},
            ":ttl": {"N": str(now // 1_000_000 + 3_600)},
        },
        ReturnValues="UPDATED_NEW",
    )
    name = caller.rsplit("/", 1)[-1]
    issued = sts.assume_role(
        RoleArn="arn:aws:iam::123456789012:role/vended-development",
        RoleSessionName=name,
        SourceIdentity=f"sentinel-{name}",
        DurationSeconds=900,
    )["Credentials"]
    body = {
        "Version": 1,
        "AccessKeyId": issued["AccessKeyId"],
        "SecretAccessKey": issued["SecretAccessKey"],
        "SessionToken": issued["SessionToken"],
        "Expiration": issued["Expiration"].isoformat(),
    }
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
