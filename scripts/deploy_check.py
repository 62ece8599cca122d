"""Checks what a deployment needs before anything is built, and prints the Region to deploy to.

    deploy_check.py cargo-lambda FUNCTION [ROLE_ARN]   before `make deploy`
    deploy_check.py sam FILE ARCHITECTURE [given]      before `make deploy-sam`

Both check credentials and Region. The first also checks the execution role: it must be named if the function does not exist yet.
The second also writes FILE, SAM's configuration, if there is none. With `given`, somebody has chosen the architecture for this run:
it must be the one in the file.

Standard output has the Region alone, for the Makefile. Everything else goes to standard error.
"""

import re
import sys
import tomllib
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

import account

STACK = "sentinel-tvm"
ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]+)")
TEMPLATE = Path(__file__).resolve().parents[1] / "deploy" / "samconfig.toml"
NO_ROLE = f"""{{name}} does not exist yet, and there is no ROLE_ARN. Without it, cargo lambda makes a role that may assume nothing.
Create the role, the table and the callers' policy once:
  aws cloudformation deploy --stack-name {STACK} --template-file deploy/permissions.yaml --capabilities CAPABILITY_IAM
Then deploy with its role:
  make deploy ROLE_ARN="$(aws cloudformation describe-stacks --stack-name {STACK} --output text \\
    --query "Stacks[0].Outputs[?OutputKey=='FunctionRoleArn'].OutputValue")\""""


def main(arguments):
    match arguments:
        case ["cargo-lambda", name, *role] if len(role) <= 1:
            session, own = identify()
            check_role(session, own, name, *role)
        case ["sam", file, architecture, *given] if given in ([], ["given"]):
            session, _ = identify()
            configure_sam(Path(file), session.region_name, architecture, bool(given))
        case _:
            sys.exit(__doc__)
    print(session.region_name)


def identify():
    """The session, and the account of its credentials. Exits if AWS does not accept them."""
    session = account.session()
    try:
        caller = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        sys.exit(account.explain(error))
    say(f"deploying to account {caller['Account']}, Region {session.region_name}, as {caller['Arn']}")
    return session, caller["Account"]


def check_role(session, own, name, role=None):
    """Exits if the function has no execution role, and gets none that Lambda may assume."""
    if not role:
        if not exists(session, name):
            sys.exit(NO_ROLE.format(name=name))
        return
    found = ROLE.fullmatch(role)
    if not found:
        sys.exit(f"ROLE_ARN={role} is not the ARN of a role, such as arn:aws:iam::{own}:role/{STACK}-FunctionRole-EXAMPLE.")
    if found[1] != own:
        sys.exit(f"ROLE_ARN is a role of account {found[1]}, but these credentials are for account {own}. Lambda needs a role of its own account.")
    try:
        trust = session.client("iam").get_role(RoleName=found[2])["Role"]["AssumeRolePolicyDocument"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchEntity":
            sys.exit(f"There is no role {found[2]}. deploy/permissions.yaml makes it: see docs/deployment.md, \"With cargo lambda\".")
        say(f"the role is not checked: iam:GetRole returns {code}")
        return
    if not any(trusts_lambda(statement) for statement in as_list(trust["Statement"])):
        sys.exit(f"The role {found[2]} does not trust lambda.amazonaws.com: it is not an execution role. Take FunctionRoleArn of the stack.")


def exists(session, name):
    """Whether the function has been deployed before. Exits if that cannot be found out."""
    client = session.client("lambda")
    try:
        client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return False
    except (BotoCoreError, ClientError) as error:
        sys.exit(account.explain(error))
    return True


def trusts_lambda(statement):
    principal = statement.get("Principal", {})
    services = as_list(principal.get("Service", [])) if isinstance(principal, dict) else []
    return statement["Effect"] == "Allow" and "lambda.amazonaws.com" in services


def as_list(value):
    return value if isinstance(value, list) else [value]


def configure_sam(file, region, architecture, given):
    """Writes SAM's configuration once. Later it belongs to the operator, and only a contradiction is an error."""
    if not file.exists():
        text = TEMPLATE.read_text(encoding="utf-8")
        file.write_text(text.replace("REGION", region).replace("ARCHITECTURE", architecture), encoding="utf-8")
        say(f"wrote {file}: every later deployment of this clone takes its options from there")
        return
    environment = tomllib.loads(file.read_text(encoding="utf-8")).get("default", {})
    saved = option(environment, "region")
    if saved and saved != region:
        sys.exit(
            f"{file} is for Region {saved}, but your environment says {region}. Set AWS_REGION={saved},\n"
            f"or deploy a second environment: see docs/deployment.md, \"Two environments side by side\"."
        )
    if not option(environment, "stack_name"):
        sys.exit(f"{file} names no stack. Add `stack_name = \"{STACK}\"` below [default.global.parameters], or remove the file.")
    if given and architectures(environment) != {architecture}:
        sys.exit(f"ARCH={architecture} is not what {file} says: change Architecture in its `parameter_overrides`, and leave ARCH out.")


def architectures(environment):
    """The architectures that the file gives to `sam build` and `sam deploy`."""
    return set(re.findall(r'Architecture=[\\"]*(\w+)', str(environment)))


def option(environment, name):
    """An option of `sam deploy`, from its own section or the global one."""
    for command in ("deploy", "global"):
        value = environment.get(command, {}).get("parameters", {}).get(name)
        if value:
            return value
    return None


def say(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
