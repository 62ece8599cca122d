"""Creates the Function URL of a deployed function, with IAM authentication. Fails if the function is open in any other way.

cargo lambda can only create URLs that are open to everyone. So `make deploy` runs this script after it. If the URL exists, the
script changes nothing.

usage: function_url.py FUNCTION, with AWS credentials and a Region as the AWS CLI takes them
"""

import json
import re
import sys

from botocore.exceptions import BotoCoreError, ClientError

import account


def main():
    (name,) = sys.argv[1:]
    client = account.session().client("lambda")
    for qualifier in [None, *qualifiers(client, name)]:
        refuse_open_permissions(client, name, qualifier)
    for config in client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]:
        refuse_open_url(config)
    config = existing(client, name) or client.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")
    print(f"Function URL, for signed requests only: {config['FunctionUrl']}")


def qualifiers(client, name):
    """The function's aliases and versions. Each has a policy of its own."""
    for page in client.get_paginator("list_aliases").paginate(FunctionName=name):
        yield from (alias["Name"] for alias in page["Aliases"])
    for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=name):
        yield from (version["Version"] for version in page["Versions"] if version["Version"] != "$LATEST")


def refuse_open_url(config):
    """Exits if a URL is open to everyone."""
    if config["AuthType"] != "AWS_IAM":
        sys.exit(
            f"{config['FunctionUrl']} has AuthType {config['AuthType']}: anyone may call it. Close it with\n"
            f"  aws lambda update-function-url-config --function-name {config['FunctionArn']} --auth-type AWS_IAM"
        )


def existing(client, name):
    """The configuration of the function's URL; None if it has no URL."""
    try:
        return client.get_function_url_config(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None


def refuse_open_permissions(client, name, qualifier):
    """Exits if the function's own policy lets others write the event, and so the caller's identity in it."""
    which = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    try:
        policy = json.loads(client.get_policy(**which)["Policy"])
    except client.exceptions.ResourceNotFoundException:
        return
    opened = [statement["Sid"] for statement in policy["Statement"] if is_open(statement)]
    if opened:
        suffix = f" --qualifier {qualifier}" if qualifier else ""
        commands = [f"  aws lambda remove-permission --function-name {name} --statement-id {sid}{suffix}" for sid in opened]
        sys.exit(
            f"The policy of {name} lets others invoke it without IAM authentication, or with events of their own. "
            "Remove that with\n" + "\n".join(commands)
        )


def is_open(statement):
    """Whether a statement allows anything but signed calls through the URL, or calls from one named API."""
    if statement["Effect"] != "Allow":
        return False
    if "*" in principals(statement):
        return True
    signed_only = actions(statement) == ["lambda:InvokeFunctionUrl"] and condition(statement, "FunctionUrlAuthType") == "AWS_IAM"
    return not (signed_only or through_url(statement) or from_one_api(statement))


def through_url(statement):
    """Whether it allows only calls through the URL. Lambda has authenticated those."""
    value = statement.get("Condition", {}).get("Bool", {}).get("lambda:InvokedViaFunctionUrl")
    return str(value).lower() == "true"


def from_one_api(statement):
    """Whether it allows one named API of API Gateway, and nothing else. The API's routes must use IAM authorization."""
    sources = [
        value
        for operator in ("ArnLike", "ArnEquals", "StringLike", "StringEquals")
        for key, value in statement.get("Condition", {}).get(operator, {}).items()
        if key.lower() == "aws:sourcearn"
    ]
    one_api = re.compile(r"arn:aws[a-z-]*:execute-api:[a-z0-9-]+:\d{12}:[a-z0-9]+/.*")
    named = sources and all(isinstance(source, str) and one_api.fullmatch(source) for source in sources)
    return principals(statement) == ["apigateway.amazonaws.com"] and bool(named)


def condition(statement, key):
    """The value that a StringEquals condition requires for one of Lambda's keys."""
    return statement.get("Condition", {}).get("StringEquals", {}).get(f"lambda:{key}")


def actions(statement):
    """The actions of a statement, as a list."""
    named = statement.get("Action", "*")
    return named if isinstance(named, list) else [named]


def principals(statement):
    """The principals of a statement, as a flat list."""
    named = statement.get("Principal", "*")
    named = list(named.values()) if isinstance(named, dict) else [named]
    return [each for value in named for each in (value if isinstance(value, list) else [value])]


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The Function URL could not be set up: {account.explain(error)}")
