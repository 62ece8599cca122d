"""The IAM documents of this repository as AWS gets them: one account, one region, all options on, no intrinsic functions left.

`template.yaml` and `deploy/*.yaml` are resolved as CloudFormation resolves them. `deploy/examples/terraform` is resolved by a
small reader of the part of Terraform's language that the policies there use. The JSON files need nothing.
"""

import json
import re
from functools import cache
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT, REGION = "123456789012", "eu-central-1"
# An account of the same organisation, with protected roles and callers of its own; and one of another organisation.
ELSEWHERE, OUTSIDE = "444455556666", "777788889999"

FUNCTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/sentinel-tvm-FunctionRole-EXAMPLE"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:sentinel-tvm"
TABLE = "sentinel-tvm-RateLimitTable-EXAMPLE"
TABLE_ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}"
GRANTS = "sentinel-tvm-GrantsTable-EXAMPLE"
GRANTS_ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{GRANTS}"
LOG_GROUP = "/aws/lambda/sentinel-tvm"
LOG_GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{LOG_GROUP}"


def secret(name):
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}"


def alarm(name):
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:sentinel-tvm-{name}-EXAMPLE"


def key(digit):
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{digit * 8}-12ab-34cd-56ef-1234567890ab"


MDM_SECRET, TOKENS_SECRET = secret("sentinel-tvm/mdm-AbC123"), secret("sentinel-tvm/clients-dEf456")
TABLE_KEY, SECRET_KEY, POLICY_KEY = key("1"), key("2"), key("3")
PROTECTED_ELSEWHERE = f"arn:aws:iam::{ELSEWHERE}:role/vended-*"
POLICY_PATH = "/sentinel/policy"

# Who may write the rate-limit table beside the function.
RESPONDERS = [f"arn:aws:iam::{ACCOUNT}:role/sentinel-{name}" for name in ("responder", "deployment")]

# The templates that make the function's role, and where Terraform makes it.
TEMPLATES = ["template.yaml", "deploy/permissions.yaml"]
TERRAFORM = "deploy/examples/terraform"
SOURCES = [*TEMPLATES, TERRAFORM]

PARAMETERS = {
    "FunctionName": "sentinel-tvm",
    "Approvals": "on",
    "ProtectedRolesElsewhere": [PROTECTED_ELSEWHERE],
    "ResponderRoleArns": RESPONDERS,
    "RateLimitTableKey": TABLE_KEY,
    "MdmSecretArn": MDM_SECRET,
    "ClientTokenSecretArn": TOKENS_SECRET,
    "SecretKeyArn": SECRET_KEY,
    "PolicyParameter": POLICY_PATH,
    "PolicyKeyArn": POLICY_KEY,
    "VpcSubnetIds": "subnet-0a1b2c3d",
    "FunctionRoleArn": FUNCTION_ROLE,
    "People": [f"arn:aws:iam::{ACCOUNT}:user/break-glass-{number}" for number in (1, 2)],
    "TrailLogGroupName": "organization-trail",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:sentinel-alarms",
    "BoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/sentinel-developer-boundary",
}
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "sentinel-tvm",
    "AWS::URLSuffix": "amazonaws.com",
}
# What CloudFormation makes of the resources that policies name.
RESOURCES = {"RateLimitTable": TABLE, "GrantsTable": GRANTS, "LogGroup": LOG_GROUP}
ATTRIBUTES = {
    "RateLimitTable.Arn": TABLE_ARN,
    "GrantsTable.Arn": GRANTS_ARN,
    "LogGroup.Arn": f"{LOG_GROUP_ARN}:*",
    "Function.Alias": f"{FUNCTION}:live",
    "Function.Arn": FUNCTION,
    "FailuresAlarm.Arn": alarm("FailuresAlarm"),
    "ErrorsAlarm.Arn": alarm("ErrorsAlarm"),
    "FunctionRole.Arn": FUNCTION_ROLE,
    "BreakGlassRole.Arn": f"arn:aws:iam::{ACCOUNT}:role/sentinel-break-glass",
}
NOTHING = object()


class Resolver:
    """Resolves the intrinsic functions of one template. A function or a name that it does not know is an error."""

    def __init__(self, template):
        self.template = template
        self.values = {
            name: PARAMETERS.get(name, definition.get("Default")) for name, definition in template["Parameters"].items()
        }

    def named(self, name):
        if name == "AWS::NoValue":
            return NOTHING
        for known in (PSEUDO, self.values, RESOURCES, ATTRIBUTES):
            if name in known:
                return known[name]
        raise KeyError(name)

    def condition(self, node):
        ((function, argument),) = node.items()
        match function:
            case "Condition":
                return self.condition(self.template["Conditions"][argument])
            case "Fn::Not":
                return not self.condition(argument[0])
            case "Fn::And":
                return all(map(self.condition, argument))
            case "Fn::Or":
                return any(map(self.condition, argument))
            case "Fn::Equals":
                left, right = map(self.resolve, argument)
                return left == right
        raise KeyError(function)

    def resolve(self, node):
        if isinstance(node, list):
            return [resolved for child in node if (resolved := self.resolve(child)) is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            match function:
                case "Ref":
                    return self.named(argument)
                case "Fn::Sub" if isinstance(argument, list):
                    text, given = argument
                    known = {name: self.resolve(value) for name, value in given.items()}
                    return re.sub(r"\$\{([^}]+)\}", lambda match: known.get(match[1]) or self.named(match[1]), text)
                case "Fn::Sub":
                    return re.sub(r"\$\{([^}]+)\}", lambda match: self.named(match[1]), argument)
                case "Fn::GetAtt":
                    return self.named(argument if isinstance(argument, str) else ".".join(argument))
                case "Fn::If":
                    name, met, otherwise = argument
                    return self.resolve(met if self.condition({"Condition": name}) else otherwise)
                case "Fn::Join":
                    separator, parts = argument
                    return separator.join(self.resolve(parts))
                case "Fn::Split":
                    separator, text = argument
                    return self.resolve(text).split(separator)
            assert not function.startswith("Fn::"), function
        return {name: resolved for name, child in node.items() if (resolved := self.resolve(child)) is not NOTHING}


@cache
def template(path):
    return yaml_parse((ROOT / path).read_text(encoding="utf-8"))


@cache
def properties(path, resource):
    """The properties of one resource of a template, resolved."""
    return Resolver(template(path)).resolve(template(path)["Resources"][resource]["Properties"])


# Terraform.

REFERENCES = {
    "aws_cloudwatch_log_group.trail.arn": LOG_GROUP_ARN,
    "aws_dynamodb_table.rate_limit.arn": TABLE_ARN,
    "aws_dynamodb_table.grants[0].arn": GRANTS_ARN,
    "aws_dynamodb_table.grants[0].name": GRANTS,
    "aws_dynamodb_table.rate_limit.name": TABLE,
    "aws_iam_role.function.arn": FUNCTION_ROLE,
    "aws_secretsmanager_secret.mdm[0].arn": MDM_SECRET,
    "data.aws_partition.current.dns_suffix": "amazonaws.com",
    "data.aws_region.current.name": REGION,
    "local.function_arn": FUNCTION,
    "local.rate_limit_writers": [FUNCTION_ROLE, *RESPONDERS],
    "local.source_arns": [FUNCTION, f"{FUNCTION}:*"],
    "var.protected_roles": [f"arn:aws:iam::{ACCOUNT}:role/vended-*", PROTECTED_ELSEWHERE],
    "var.rate_limit_table_key": TABLE_KEY,
}
TOKEN = re.compile(r'\s*(?:#[^\n]*\n\s*)*("(?:[^"\\]|\\.)*"|[\w.]+(?:\[\d+\][\w.]*)?|[\[\]{}=:,])')


class Expression:
    """Reads one expression: texts, lists, objects and references. Anything else is an error."""

    def __init__(self, text, position):
        self.text, self.position = text, position

    def peek(self):
        match = TOKEN.match(self.text, self.position)
        assert match, self.text[self.position : self.position + 40]
        return match[1], match.end()

    def take(self):
        token, self.position = self.peek()
        return token

    def value(self):
        token = self.take()
        if token == "{":
            return self.members()
        if token == "[":
            return self.elements()
        if token.startswith('"'):
            return re.sub(r"\$\{([^}]+)\}", lambda match: REFERENCES[match[1]], json.loads(token))
        return REFERENCES[token]

    def members(self):
        found = {}
        while (name := self.take()) != "}":
            if name == ",":
                continue
            assert self.take() in ("=", ":"), name
            found[name.strip('"')] = self.value()
        return found

    def elements(self):
        found = []
        while self.peek()[0] != "]":
            if self.peek()[0] == ",":
                self.take()
            else:
                found.append(self.value())
        self.take()
        return found


@cache
def terraform():
    """Each policy in deploy/examples/terraform: (type, name, argument) of what it is in, and the document."""
    found = {}
    for path in sorted((ROOT / TERRAFORM).glob("*.tf")):
        text, resource = path.read_text(encoding="utf-8"), None
        for match in re.finditer(r'^resource "(\w+)" "(\w+)"|^  (\w+) += jsonencode\(', text, re.MULTILINE):
            if match[1]:
                resource = match[1], match[2]
            else:
                found[*resource, match[3]] = Expression(text, match.end()).value()
    return found


# What the table of tests/iam/test_iam_security.py evaluates.


def function_role(source):
    """The policies of the function's role, by name."""
    if source == TERRAFORM:
        made = {name: document for (kind, name, _), document in terraform().items() if kind == "aws_iam_role_policy"}
    else:
        made = {policy["PolicyName"]: policy["PolicyDocument"] for policy in properties(source, "FunctionRole")["Policies"]}
    return {f"{name} of {source}": document for name, document in made.items()}


def function_trust(source):
    if source == TERRAFORM:
        return terraform()["aws_iam_role", "function", "assume_role_policy"]
    return properties(source, "FunctionRole")["AssumeRolePolicyDocument"]


def callers(source):
    """The policy for callers."""
    if source == TERRAFORM:
        return terraform()["aws_iam_policy", "callers", "policy"]
    return properties(source, "CallersPolicy")["PolicyDocument"]


def protected_trust(source):
    """The trust policy of a protected role."""
    if source == TERRAFORM:
        return terraform()["aws_iam_role", "vended_development", "assume_role_policy"]
    return properties("deploy/protected-role.yaml", "ProtectedRole")["AssumeRolePolicyDocument"]


def table_policy(name):
    """The policy of a table of its own, by source."""

    def of(source):
        if source == TERRAFORM:
            return terraform()["aws_dynamodb_resource_policy", name, "policy"]
        logical = {"rate_limit": "RateLimitTable", "grants": "GrantsTable"}[name]
        return properties(source, logical)["ResourcePolicy"]["PolicyDocument"]

    return of


def shift_role(name):
    """A property of the role with which CodeDeploy moves the alias."""
    return properties("template.yaml", "ShiftRole")[name]


def break_glass(name):
    """A property of the break-glass role."""
    return properties("deploy/break-glass.yaml", "BreakGlassRole")[name]


@cache
def example(name):
    """A policy of deploy/examples."""
    return json.loads((ROOT / "deploy/examples" / f"{name}.json").read_text(encoding="utf-8"))

