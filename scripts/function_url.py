"""Gives a deployed function its Function URL with IAM authentication, once, and refuses to leave any other kind.

cargo lambda can only make URLs that are open to everyone, so `make deploy` runs this after it.
Usage: function_url.py FUNCTION, with AWS credentials and a region as for any AWS tool.
"""

import json
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def main():
    (name,) = sys.argv[1:]
    client = boto3.client("lambda")
    refuse_open_permissions(client, name)
    config = existing(client, name) or client.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")
    if config["AuthType"] != "AWS_IAM":
        sys.exit(
            f"The Function URL of {name} has AuthType {config['AuthType']}: anyone may call it. Close it with\n"
            f"  aws lambda update-function-url-config --function-name {name} --auth-type AWS_IAM"
        )
    print(f"Function URL, for signed requests only: {config['FunctionUrl']}")


def existing(client, name):
    """The function's URL, or None."""
    try:
        return client.get_function_url_config(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None


def refuse_open_permissions(client, name):
    """Ends the program if the function's own policy lets anybody write the event, and with it the caller's identity."""
    try:
        policy = json.loads(client.get_policy(FunctionName=name)["Policy"])
    except client.exceptions.ResourceNotFoundException:
        return
    opened = [statement["Sid"] for statement in policy["Statement"] if is_open(statement)]
    if opened:
        commands = [f"  aws lambda remove-permission --function-name {name} --statement-id {sid}" for sid in opened]
        sys.exit(
            f"The policy of {name} lets others invoke it without IAM authentication, or with events of their own. "
            "Take that back with\n" + "\n".join(commands)
        )


def is_open(statement):
    """Whether a statement allows more than signed calls through the URL, or calls by one API of one's own."""
    if statement["Effect"] != "Allow":
        return False
    conditions = {key.lower(): value for block in statement.get("Condition", {}).values() for key, value in block.items()}
    if "*" in principals(statement):
        return True
    through_url = str(conditions.get("lambda:invokedviafunctionurl", "")).lower() == "true"
    one_source = "aws:sourcearn" in conditions
    return not (through_url or one_source or actions(statement) == ["lambda:InvokeFunctionUrl"])


def actions(statement):
    """What a statement allows."""
    named = statement.get("Action", "*")
    return named if isinstance(named, list) else [named]


def principals(statement):
    """Whom a statement names, in whichever way."""
    named = statement.get("Principal", "*")
    named = list(named.values()) if isinstance(named, dict) else [named]
    return [each for value in named for each in (value if isinstance(value, list) else [value])]


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The Function URL could not be set up: {error}")
