"""What the linters let through: `AuthType: NONE` passes `sam validate --lint` and cfn-lint, and so does a policy of stars.

`template.yaml` is checked as CloudFormation gets it, after the SAM transform. Run with `pytest tests/templates`; needs
aws-sam-translator.
"""

import json
import re
import tomllib
from pathlib import Path

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ["template.yaml", "deploy/break-glass.yaml", "deploy/permissions.yaml", "deploy/protected-role.yaml"]
# The two that give the function its permissions.
STACKS = ["template.yaml", "deploy/permissions.yaml"]
ASSUME = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]
# As in AWSLambdaVPCAccessExecutionRole.
NETWORK = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
NO_VALUE = {"Ref": "AWS::NoValue"}
KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
MDM_SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sentinel-tvm/mdm-AbC123"
TOKENS_SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sentinel-tvm/clients-dEf456"
JAMF = {"MdmProvider": "jamf", "MdmBaseUrl": "https://mdm.example.com", "MdmSecretArn": MDM_SECRET}
INTUNE = {"MdmProvider": "intune", "MdmTenantId": "example.com", "MdmSecretArn": MDM_SECRET}
POLICY_PATH = "/sentinel/policy"
POLICY_ARN = {"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${PolicyParameter}"}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:sentinel-alarms"
# The tables of the role: CloudFormation puts STACK-LOGICALID- before its own ending of a name.
TABLES_BY_SID = {
    sid: {"Fn::Sub": f"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/${{AWS::StackName}}-{name}"}
    for sid, name in {
        "CountRequests": "RateLimitTable-*",
        "DecideRequests": "GrantsTable-*",
        "ListRequests": "GrantsTable-*/index/ByTime",
    }.items()
}
# What the function's name is in each of the two.
NAMES = {"template.yaml": "${AWS::StackName}", "deploy/permissions.yaml": "${FunctionName}"}

# The function's own metrics, as in docs/operations.md: the dimensions that each has beside `function`.
NAMESPACE = "Sentinel/TVM"
METRICS = {
    "Requests": [{"code"}, {"profile", "code"}],
    "Latency": [{"code"}],
    "LimiterDecisions": [{"limiter"}],
    "DevicePostures": [{"posture"}],
} | {
    name: [set()]
    for name in [
        "AdmitLatency",
        "ClientTokenLatency",
        "DeviceLatency",
        "PolicyLatency",
        "DecideLatency",
        "AssumeRoleLatency",
        "LimiterDegraded",
        "LocalRefusals",
        "BreakerOpen",
        "BreakerTransitions",
        "StoreKeys",
        "StoreEvictions",
        "SecretAge",
        "SecretRefreshFailures",
        "ShadowDenials",
        "Emergencies",
        "PolicyAge",
        "PolicyReloadFailures",
    ]
}
# The codes of refusals and failures, as in docs/api.md, and their statuses.
STATUSES = {
    "MISSING_PROFILE": 400,
    "INVALID_PROFILE": 400,
    "INVALID_DURATION": 400,
    "INVALID_DEVICE": 400,
    "INVALID_REQUEST": 400,
    "CLIENT_TOKEN_INVALID": 401,
    "IAM_AUTH_REQUIRED": 403,
    "CALLER_PROOF_INVALID": 403,
    "CALLER_BLOCKED": 403,
    "PERSON_REQUIRED": 403,
    "OWN_REQUEST": 403,
    "REQUEST_CLOSED": 409,
    "REQUEST_EXISTS": 409,
    "APPROVAL_NOT_NEEDED": 409,
    "EMERGENCY_USED": 409,
    "DEVICE_REQUIRED": 403,
    "DEVICE_VERIFICATION_FAILED": 403,
    "POLICY_DENY": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TOO_LARGE": 413,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "CREDENTIAL_ERROR": 502,
    "SERVICE_UNAVAILABLE": 503,
    "RATE_LIMITER_UNAVAILABLE": 503,
}
DIMENSION_VALUES = {
    "code": {"OK", *STATUSES},
    "limiter": {"dynamodb", "mirror", "memory", "open", "closed", "off"},
    "posture": {"compliant", "noncompliant", "unmanaged", "unknown", "missing", "unavailable"},
}
LAMBDA_METRICS = {"ConcurrentExecutions", "Duration", "Errors", "Throttles"}


class NoManagedPolicies:
    """The templates name managed policies by ARN only, so the transform need not look any up."""

    def load(self):
        return {}


def source(path):
    return yaml_parse((ROOT / path).read_text())


def template(path, parameters=None, **changes):
    """A template as CloudFormation gets it. The transform needs the parameters that it reads itself. `changes` are made to the
    function's properties first."""
    parsed = source(path)
    if "Transform" not in parsed:
        return parsed
    # `sam deploy` puts the uploaded artefacts in the place of the local paths.
    parsed["Resources"]["Function"]["Properties"] |= {"CodeUri": "s3://bucket/code"} | changes
    parsed["Resources"]["PolicyLayer"]["Properties"]["ContentUri"] = "s3://bucket/policy"
    return transform(parsed, parameters or {}, NoManagedPolicies())


@pytest.fixture(autouse=True)
def region(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def of_type(parsed, kind):
    return {name: r["Properties"] for name, r in parsed["Resources"].items() if r["Type"] == kind}


def listed(value):
    return value if isinstance(value, list) else [value]


def unconditioned(statements):
    """Statements, those behind Fn::If included."""
    for statement in listed(statements):
        if "Fn::If" in statement:
            branches = statement["Fn::If"][1:]
            yield from unconditioned([b for b in branches if b != NO_VALUE])
        else:
            yield statement


def values(parsed, parameters):
    """What each parameter is with these."""
    assert parameters.keys() <= parsed["Parameters"].keys()
    return {name: str(definition.get("Default", "")) for name, definition in parsed["Parameters"].items()} | parameters


def holds(parsed, parameters, condition):
    """Whether a condition, of a resource or a rule, holds with these parameters."""

    def value(argument):
        if isinstance(argument, dict):
            # A list parameter, joined: what counts is whether it is empty.
            argument = argument.get("Fn::Join", ["", argument])[1]
            return values(parsed, parameters)[argument["Ref"]]
        return argument

    def each(conditions):
        return (holds(parsed, parameters, condition) for condition in conditions)

    ((function, argument),) = condition.items()
    match function:
        case "Condition":
            return holds(parsed, parameters, parsed["Conditions"][argument])
        case "Fn::Not":
            return not any(each(argument))
        case "Fn::And":
            return all(each(argument))
        case "Fn::Or":
            return any(each(argument))
        case "Fn::Equals":
            left, right = map(value, argument)
            return left == right
        case "Fn::Contains":
            choices, chosen = argument
            return value(chosen) in choices
    raise AssertionError(f"{function} is not known here")


def deployed(path, **parameters):
    """A template as CloudFormation understands it with these parameters: no conditions left."""
    parsed = template(path, parameters)

    def resolve(node):
        if isinstance(node, dict) and "Fn::If" in node:
            condition, met, otherwise = node["Fn::If"]
            return resolve(met if holds(parsed, parameters, {"Condition": condition}) else otherwise)
        if isinstance(node, dict):
            return {key: resolved for key, child in node.items() if (resolved := resolve(child)) != NO_VALUE}
        if isinstance(node, list):
            return [resolved for child in node if (resolved := resolve(child)) != NO_VALUE]
        return node

    def exists(resource):
        return "Condition" not in resource or holds(parsed, parameters, {"Condition": resource["Condition"]})

    return parsed | {"Resources": {n: resolve(r) for n, r in parsed["Resources"].items() if exists(r)}}


def refusals(path, **parameters):
    """What CloudFormation says against these parameters."""
    parsed = template(path)
    return [
        assertion["AssertDescription"]
        for rule in parsed["Rules"].values()
        if holds(parsed, parameters, rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not holds(parsed, parameters, assertion["Assert"])
    ]


def settings(**parameters):
    """The function's environment with these parameters."""
    parsed = deployed("template.yaml", **parameters)
    variables = only(of_type(parsed, "AWS::Lambda::Function"))["Environment"]["Variables"]
    given = values(parsed, parameters)
    return {name: given.get(value["Ref"], value) if isinstance(value, dict) else value for name, value in variables.items()}


def function_arn(path):
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{NAMES[path]}"}


def grants(parsed):
    """Statements of every identity policy."""
    policies = list(of_type(parsed, "AWS::IAM::ManagedPolicy").values())
    for role in of_type(parsed, "AWS::IAM::Role").values():
        policies += role.get("Policies", [])
    for policy in policies:
        yield from unconditioned(policy["PolicyDocument"]["Statement"])


def allows(parsed):
    """Statements of every identity policy that allow."""
    return [statement for statement in grants(parsed) if statement["Effect"] == "Allow"]


def trusts(parsed):
    """Statements of every trust policy."""
    for role in of_type(parsed, "AWS::IAM::Role").values():
        yield from unconditioned(role["AssumeRolePolicyDocument"]["Statement"])


def takes(parameter, values):
    """A parameter's pattern fits each value."""
    for value in values:
        assert re.fullmatch(parameter["AllowedPattern"], value), value


def refuses(parameter, values):
    """A parameter's pattern fits none of the values."""
    for value in values:
        assert not re.fullmatch(parameter["AllowedPattern"], value), value


def only(mapping):
    (value,) = mapping.values()
    return value


def test_security_url_demands_a_signature():
    """THREAT: AuthType NONE, in any spelling, opens the URL to the world, and no linter objects.
    PREVENTION: one URL, AWS_IAM written out (a parameter could be changed at deployment), no CORS."""
    url = only(of_type(template("template.yaml"), "AWS::Lambda::Url"))
    assert url["AuthType"] == "AWS_IAM"
    assert "Cors" not in url


def test_security_nobody_is_let_in_by_the_function_itself():
    """THREAT: a resource-based permission (SAM adds two for AuthType NONE) lets in everyone, or whom nobody reviewed.
    PREVENTION: no permission at all on function or layer; callers come by the callers' policy only."""
    kinds = {resource["Type"] for resource in template("template.yaml")["Resources"].values()}
    assert kinds == {
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::Table",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::Lambda::Alias",
        "AWS::Lambda::Function",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Url",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::Logs::MetricFilter",
        "AWS::Logs::QueryDefinition",
        "AWS::Pipes::Pipe",
    }
    # This test would see what SAM adds.
    public = template("template.yaml", FunctionUrlConfig={"AuthType": "NONE"})
    assert len(of_type(public, "AWS::Lambda::Permission")) == 2


@pytest.mark.parametrize("path", TEMPLATES)
def test_security_no_policy_of_stars(path):
    """THREAT: a wildcard grants actions or resources that nobody thought of; so do the Not... elements.
    PREVENTION: a statement that allows has every action by its name; no star in a resource but the one that a parameter
    brings, at its end, and the one for what CloudFormation puts at the end of a table's name: the table's own policy names the
    role, so neither can be a reference to the other. A network interface has no name before Lambda makes it; a Deny keeps the
    function from it."""
    parsed = template(path)
    assert {statement["Effect"] for statement in trusts(parsed)} == {"Allow"}
    for statement in [*allows(parsed), *trusts(parsed)]:
        if statement.get("Sid") == "ConnectToTheVpc":
            assert all(action.startswith("ec2:") and "*" not in action for action in statement["Action"])
            continue
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
        resource = statement.get("Resource")
        if statement.get("Sid") in TABLES_BY_SID:
            assert resource == TABLES_BY_SID[statement["Sid"]]
            resource = None
        assert "*" not in json.dumps([statement["Action"], resource, statement.get("Principal")])


@pytest.mark.parametrize("path", STACKS)
def test_security_function_may_do_what_it_does_and_no_more(path):
    """THREAT: a flaw in the function becomes whatever its role may do: to read who calls, to delete everyone's counters, or
    to read other people's secrets.
    PREVENTION: its own log group, one action on its own table, on each secret it is given and on the policy's path, three on
    the grants and their index, and three STS actions on the protected roles."""
    role = of_type(template(path), "AWS::IAM::Role")["FunctionRole"]
    assert "ManagedPolicyArns" not in role
    (policy,) = role["Policies"]
    statements = list(unconditioned(policy["PolicyDocument"]["Statement"]))
    granted = {s["Sid"]: (s["Action"], s["Resource"]) for s in statements if s["Effect"] == "Allow"}
    here = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${ProtectedRolePattern}"}
    assert granted == {
        "WriteOwnLog": (["logs:CreateLogStream", "logs:PutLogEvents"], {"Fn::GetAtt": ["LogGroup", "Arn"]}),
        "CountRequests": ("dynamodb:UpdateItem", TABLES_BY_SID["CountRequests"]),
        "DecideRequests": (["dynamodb:GetItem", "dynamodb:UpdateItem"], TABLES_BY_SID["DecideRequests"]),
        "ListRequests": ("dynamodb:Query", TABLES_BY_SID["ListRequests"]),
        "OpenTheTable": ("kms:Decrypt", {"Ref": "RateLimitTableKey"}),
        "ReadMdmSecret": ("secretsmanager:GetSecretValue", {"Ref": "MdmSecretArn"}),
        "ReadClientTokens": ("secretsmanager:GetSecretValue", {"Ref": "ClientTokenSecretArn"}),
        "OpenTheSecrets": ("kms:Decrypt", {"Ref": "SecretKeyArn"}),
        "ReadPolicy": ("ssm:GetParametersByPath", POLICY_ARN),
        "OpenThePolicy": ("kms:Decrypt", {"Ref": "PolicyKeyArn"}),
        "AssumeProtectedRoles": (ASSUME, here),
        "AssumeProtectedRolesElsewhere": (ASSUME, {"Ref": "ProtectedRolesElsewhere"}),
        "ConnectToTheVpc": (NETWORK, "*"),
    }
    assert not [s for s in grants(deployed(path)) if "ec2:" in json.dumps(s)], "only in a VPC"


@pytest.mark.parametrize("path", STACKS)
def test_security_only_this_function_gets_to_protected_roles_and_secrets(path):
    """THREAT: somebody with iam:PassRole gives the function's role to a function of their own, which then assumes protected
    roles without asking any policy, reads the secrets or the policy, or empties budgets. An Allow with a condition does not
    stop it: the trust policies of protected roles in the same account name the role, and need no Allow.
    PREVENTION: the role denies each such service unless Lambda says that this very function asks; without the key, too. What
    that does, tests/iam evaluates."""
    arn = function_arn(path)
    # As itself, or as a version of itself.
    arns = [arn, {"Fn::Sub": f"{arn['Fn::Sub']}:*"}]
    services = ("sts:", "secretsmanager:", "ssm:")
    valuable = [s for s in allows(template(path)) if listed(s["Action"])[0].startswith(services)]
    assert [s["Condition"] for s in valuable] == [{"ArnEquals": {"lambda:SourceFunctionArn": arns}}] * 5
    network, fence, *_ = denies = [s for s in grants(template(path)) if s["Effect"] == "Deny"]
    assert [s["Sid"] for s in denies] == ["OnlyLambdaConnects", "OnlyAsThisFunction", "OnlyProtectedRoles"]
    assert network["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": arns}}
    assert fence["Condition"] == {"ArnNotEquals": {"lambda:SourceFunctionArn": arns}}
    assert (fence["Resource"], fence["Action"]) == ("*", ["dynamodb:*", "secretsmanager:*", "ssm:*", *ASSUME])


@pytest.mark.parametrize("path", STACKS)
def test_security_other_roles_stay_closed_whatever_they_trust(path):
    """THREAT: some other role of the account names the function's role, or its account, in its trust policy, and a flaw in the
    function becomes what that role may do.
    PREVENTION: the function's role denies to assume any role that its parameters do not name."""
    here = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${ProtectedRolePattern}"}

    def closed(**parameters):
        (statement,) = [s for s in grants(deployed(path, **parameters)) if s["Sid"] == "OnlyProtectedRoles"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", ASSUME)
        assert "Condition" not in statement
        return statement["NotResource"]

    assert closed() == here
    joined = {"Fn::Join": [",", [here, {"Fn::Join": [",", {"Ref": "ProtectedRolesElsewhere"}]}]]}
    assert closed(ProtectedRolesElsewhere="arn:aws:iam::444455556666:role/vended-*") == {"Fn::Split": [",", joined]}


@pytest.mark.parametrize("path", STACKS)
@pytest.mark.parametrize(
    ("secrets", "readable"),
    [
        ({}, set()),
        ({"MdmSecretArn": MDM_SECRET}, {"MdmSecretArn"}),
        ({"ClientTokenSecretArn": TOKENS_SECRET}, {"ClientTokenSecretArn"}),
        (
            {"MdmSecretArn": MDM_SECRET, "ClientTokenSecretArn": TOKENS_SECRET},
            {"MdmSecretArn", "ClientTokenSecretArn"},
        ),
    ],
)
def test_security_secrets_and_their_key_only_as_far_as_given(path, secrets, readable):
    """THREAT: a permission for secrets that are not this function's; or kms:Decrypt on a key that others share, with which a
    flaw in the function decrypts their data.
    PREVENTION: a statement for each secret that is given; the key only if given, only through Secrets Manager, only for
    these secrets."""
    parsed = deployed(path, **secrets)
    statements = [s for s in allows(parsed) if "secret" in json.dumps(s).lower()]
    assert {s["Resource"]["Ref"] for s in statements} == readable
    assert {s["Action"] for s in statements} <= {"secretsmanager:GetSecretValue"}
    assert not [s for s in grants(parsed) if "kms:" in json.dumps(s)]
    if not secrets:
        return
    (statement,) = [s for s in grants(deployed(path, SecretKeyArn=KEY_ARN, **secrets)) if "kms:" in json.dumps(s)]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == {"Ref": "SecretKeyArn"}
    ((operator, condition),) = statement["Condition"].items()
    assert operator == "StringEquals"
    assert condition.keys() == {"kms:ViaService", "kms:EncryptionContext:SecretARN"}
    assert condition["kms:ViaService"] == {"Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"}
    assert {secret["Ref"] for secret in condition["kms:EncryptionContext:SecretARN"]} == readable


@pytest.mark.parametrize("path", STACKS)
def test_security_a_key_without_secrets_is_refused(path):
    """THREAT: the list of secrets that the key may be used for is empty, and says nothing that anybody thought of.
    PREVENTION: a rule refuses the key without a secret."""
    (refusal,) = refusals(path, SecretKeyArn=KEY_ARN)
    assert refusal.startswith("SecretKeyArn ")
    assert not refusals(path, SecretKeyArn=KEY_ARN, ClientTokenSecretArn=TOKENS_SECRET)


@pytest.mark.parametrize("path", STACKS)
def test_security_policy_and_its_key_only_as_far_as_given(path):
    """THREAT: a flaw in the function reads other people's parameters, or decrypts them with a key that others share.
    PREVENTION: nothing unless a path is given; then that path alone; the key only if given, only through Parameter Store,
    only for what is below the path."""
    assert not [s for s in allows(deployed(path)) if re.search("ssm|kms", json.dumps(s))]
    (read,) = [s for s in allows(deployed(path, PolicyParameter=POLICY_PATH)) if re.search("ssm|kms", json.dumps(s))]
    assert (read["Action"], read["Resource"]) == ("ssm:GetParametersByPath", POLICY_ARN)
    parameters = {"PolicyParameter": POLICY_PATH, "PolicyKeyArn": KEY_ARN}
    (statement,) = [s for s in grants(deployed(path, **parameters)) if "kms:" in json.dumps(s)]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == {"Ref": "PolicyKeyArn"}
    assert statement["Condition"] == {
        "StringEquals": {"kms:ViaService": {"Fn::Sub": "ssm.${AWS::Region}.${AWS::URLSuffix}"}},
        "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": {"Fn::Sub": POLICY_ARN["Fn::Sub"] + "/*"}},
    }


@pytest.mark.parametrize("path", STACKS)
def test_security_a_policy_key_without_policy_is_refused(path):
    """THREAT: without a path, the key could be used for the parameters of everybody.
    PREVENTION: a rule refuses the key without the path."""
    (refusal,) = refusals(path, PolicyKeyArn=KEY_ARN)
    assert refusal.startswith("PolicyKeyArn ")
    assert not refusals(path, PolicyKeyArn=KEY_ARN, PolicyParameter=POLICY_PATH)


@pytest.mark.parametrize("path", STACKS)
def test_security_the_path_of_the_policy_is_one_path(path):
    """THREAT: `/` or a pattern as the path: the function may read every parameter, and takes anybody's for its policy.
    PREVENTION: CloudFormation refuses all but nothing, and one path of one's own."""
    definition = source(path)["Parameters"]["PolicyParameter"]
    assert definition["Default"] == ""
    takes(definition, ["", POLICY_PATH, "/sentinel", "/a/B_c/d.e-f", "/a" * 13])
    refuses(definition, [
        "/",
        "*",
        "/*",
        "/sentinel/*",
        "/sentinel/polic?",
        "/sentinel/policy/",
        "//sentinel",
        "sentinel/policy",
        "/sentinel policy",
        "/aws/sentinel",
        "/AWS-sentinel",
        "/ssm/sentinel",
        "/a" * 14,
        "/sentinel,/other",
    ])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"SENTINEL_POLICY_DIR": "/opt"}),
        ({"PolicyTtl": "60", "PolicyMaxAge": "600"}, {"SENTINEL_POLICY_DIR": "/opt"}),
        (
            {"PolicyParameter": POLICY_PATH, "PolicyTtl": "60"},
            {
                "SENTINEL_POLICY_DIR": "/opt",
                "SENTINEL_POLICY_PARAMETER": POLICY_PATH,
                "SENTINEL_POLICY_TTL": "60",
                "SENTINEL_POLICY_MAX_AGE": "3600",
            },
        ),
    ],
)
def test_policy_is_where_the_parameters_say(parameters, expected):
    variables = settings(**parameters)
    assert {name: value for name, value in variables.items() if name.startswith("SENTINEL_POLICY_")} == expected


@pytest.mark.parametrize("path", STACKS)
@pytest.mark.parametrize("parameter", ["MdmSecretArn", "ClientTokenSecretArn"])
def test_security_a_secret_is_its_full_arn(path, parameter):
    """THREAT: `*`, or a name without the random end, which IAM would take for a pattern or for another secret.
    PREVENTION: CloudFormation refuses all but nothing, and one whole ARN."""
    definition = source(path)["Parameters"][parameter]
    assert definition["Default"] == ""
    takes(definition, ["", MDM_SECRET, "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a_+=.@-b-AbC123"])
    refuses(definition, [
        "*",
        "sentinel-tvm/mdm",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sentinel-tvm/*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sentinel-tvm/mdm-??????",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sentinel-tvm/mdm-*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tokens",
        "arn:aws:secretsmanager:*:123456789012:secret:sentinel-tvm/mdm-AbC123",
        "arn:aws:secretsmanager:eu-central-1:*:secret:sentinel-tvm/mdm-AbC123",
        f"{MDM_SECRET},{TOKENS_SECRET}",
    ])


@pytest.mark.parametrize("path", STACKS)
@pytest.mark.parametrize("parameter", ["SecretKeyArn", "PolicyKeyArn", "LogKeyArn"])
def test_security_an_optional_key_is_its_arn(path, parameter):
    """THREAT: `*` or an alias as the key: too much is granted, or nothing.
    PREVENTION: CloudFormation refuses all but nothing, and a key's full ARN."""
    definition = source(path)["Parameters"][parameter]
    assert definition["Default"] == ""
    takes(definition, ["", KEY_ARN])
    refuses(definition, ["*", "aws-managed", "arn:aws:kms:eu-central-1:123456789012:alias/secrets", f"{KEY_ARN[:-36]}*"])


@pytest.mark.parametrize("path", STACKS)
def test_security_table_key_opens_this_table_only(path):
    """THREAT: with kms:Decrypt on a key that others share, a flaw in the function decrypts their data.
    PREVENTION: only if there is such a key, only through DynamoDB, only for this table."""
    for key in ["aws-owned", "aws-managed"]:
        assert not [s for s in grants(deployed(path, RateLimitTableKey=key)) if "kms:" in json.dumps(s)]
    (statement,) = [s for s in grants(deployed(path, RateLimitTableKey=KEY_ARN)) if "kms:" in json.dumps(s)]
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"] == {"Ref": "RateLimitTableKey"}
    assert statement["Condition"] == {
        "StringEquals": {"kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}},
        "StringLike": {"kms:EncryptionContext:aws:dynamodb:tableName": [{"Fn::Sub": "${AWS::StackName}-RateLimitTable-*"}]},
    }


@pytest.mark.parametrize("path", STACKS)
@pytest.mark.parametrize(
    ("key", "encryption"),
    [
        ("aws-owned", {"SSEEnabled": False}),
        ("aws-managed", {"SSEEnabled": True, "SSEType": "KMS"}),
        (KEY_ARN, {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "RateLimitTableKey"}}),
    ],
)
def test_security_table_is_encrypted_with_the_key_asked_for(path, key, encryption):
    """THREAT: somebody asks for a key of their own, and the table is silently under another.
    PREVENTION: one parameter names the key; each of its three forms is one setting of the table."""
    parsed = deployed(path, RateLimitTableKey=key)
    assert only(of_type(parsed, "AWS::DynamoDB::Table"))["SSESpecification"] == encryption


@pytest.mark.parametrize("path", STACKS)
def test_security_a_customer_key_is_its_arn(path):
    """THREAT: "customer managed", but no key given: a deployment that fails half-way, or takes some other key.
    PREVENTION: there is no such choice: CloudFormation refuses all but two words and a key's full ARN (of an alias IAM
    would take no notice)."""
    definition = source(path)["Parameters"]["RateLimitTableKey"]
    assert definition["Default"] == "aws-owned"
    multi_region = "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    takes(definition, ["aws-owned", "aws-managed", KEY_ARN, multi_region])
    refuses(definition, [
        "",
        "*",
        "customer-managed",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/aws/dynamodb",
        "arn:aws:kms:eu-central-1:123456789012:alias/counters",
        "arn:aws:kms:eu-central-1:123456789012:key/",
        "arn:aws:kms:eu-central-1:123456789012:key/*",
        "arn:aws:kms:*:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        f"aws-owned,{KEY_ARN}",
    ])


@pytest.mark.parametrize("path", STACKS)
def test_table_is_what_the_function_writes_to(path):
    resource = deployed(path)["Resources"]["RateLimitTable"]
    table = resource["Properties"]
    assert table.pop("SSESpecification")
    # All there is: no name (it could not be replaced), no index, no stream, no policy of its own that lets others in.
    assert table == {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "PK", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
        "TimeToLiveSpecification": {"AttributeName": "TTL", "Enabled": True},
        "DeletionProtectionEnabled": False,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False},
    }
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Delete"


WRITES = [f"dynamodb:{name}" for name in (
    "BatchWriteItem", "DeleteItem", "PartiQLDelete", "PartiQLInsert", "PartiQLUpdate", "PutItem", "UpdateItem",
)]


def writers(table):
    """Who may write the items of a table, by its own policy; `None` if it has none."""
    if "ResourcePolicy" not in table:
        return None
    (statement,) = table["ResourcePolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Action"] == WRITES
    assert statement["Condition"].keys() == {"ArnNotEquals"}
    return statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]


@pytest.mark.parametrize("path", STACKS)
def test_security_only_the_function_writes_approvals(path):
    """THREAT: whoever may write the table, as any administrator of DynamoDB, approves their own request.
    PREVENTION: the table itself denies each way to write an item, but to the function's role. That holds without an SCP."""
    resources = deployed(path, Approvals="on")["Resources"]
    assert writers(resources["GrantsTable"]["Properties"]) == {"Fn::GetAtt": ["FunctionRole", "Arn"]}


@pytest.mark.parametrize("path", STACKS)
def test_security_only_response_writes_blocks(path):
    """THREAT: a blocked caller, or a friend, who may write the table removes the block.
    PREVENTION: if the roles for response are named, the table denies writing to everybody else but the function. A star names
    nobody."""
    assert writers(deployed(path)["Resources"]["RateLimitTable"]["Properties"]) is None
    role = "arn:aws:iam::123456789012:role/sentinel-responder"
    guarded = deployed(path, ResponderRoleArns=role)["Resources"]["RateLimitTable"]["Properties"]
    names = {"Fn::Join": [",", [{"Fn::GetAtt": ["FunctionRole", "Arn"]}, {"Fn::Join": [",", {"Ref": "ResponderRoleArns"}]}]]}
    assert writers(guarded) == {"Fn::Split": [",", names]}
    definition = source(path)["Parameters"]["ResponderRoleArns"]
    takes(definition, ["", role, "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Response_0123456789abcdef"])
    refuses(definition, ["*", "arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:user/alice", "sentinel-responder"])


@pytest.mark.parametrize("path", STACKS)
def test_security_approvals_are_kept(path):
    """THREAT: the record of who approved what goes with a deletion, by accident or on purpose, or is readable at rest.
    PREVENTION: the table of approvals stays when the stack goes, cannot be deleted, has every moment of 35 days, and the key of
    the other table. It exists only if somebody turns approvals on."""
    assert "GrantsTable" not in deployed(path, Approvals="off")["Resources"]
    parsed = deployed(path, Approvals="on")["Resources"]
    table = parsed["GrantsTable"]["Properties"]
    assert parsed["GrantsTable"]["DeletionPolicy"] == parsed["GrantsTable"]["UpdateReplacePolicy"] == "Retain"
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == parsed["RateLimitTable"]["Properties"]["SSESpecification"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "TTL", "Enabled": True}
    (index,) = table["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["Projection"]) == ("ByTime", {"ProjectionType": "ALL"})


PIPE = {"Approvals": "on", "ApprovalTopicArn": "arn:aws:sns:eu-central-1:123456789012:approvals"}


def test_security_people_are_told_of_approvals_without_the_requesters_words():
    """THREAT: the message about a request carries what its requester wrote, to people who may not read it; or its sender may do more
    than send.
    PREVENTION: a fixed text with four attributes that the function chose; a role that reads one stream and publishes to one topic."""
    for without in [{"Approvals": "off"}, {"ApprovalTopicArn": ""}]:
        assert "ApprovalPipe" not in deployed("template.yaml", **(PIPE | without))["Resources"]
    resources = deployed("template.yaml", **PIPE)["Resources"]
    pipe, role = resources["ApprovalPipe"]["Properties"], resources["ApprovalPipeRole"]["Properties"]
    assert set(re.findall(r"<\$\.dynamodb\.NewImage\.([\w.]+)>", json.dumps(pipe["TargetParameters"]))) == {
        "Kind.S", "Requester.M.Arn.S", "Profile.S", "State.S"
    }
    (pattern,) = pipe["SourceParameters"]["FilterCriteria"]["Filters"]
    assert json.loads(pattern["Pattern"]) == {"eventName": ["INSERT", "MODIFY"]}
    assert resources["GrantsTable"]["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    (policy,) = role["Policies"]
    granted = {s["Sid"]: s["Action"] for s in policy["PolicyDocument"]["Statement"]}
    assert granted["TellPeople"] == "sns:Publish" and all(action.startswith("dynamodb:") for action in granted["ReadTheStream"])
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "pipes.amazonaws.com"} and trust["Condition"]["StringEquals"].keys() == {"aws:SourceAccount"}


def test_security_limits_hold_across_instances():
    """THREAT: a function that is not told of the table counts in each instance, and a flood that starts more instances gets
    more credentials.
    PREVENTION: the table's name is in the function's settings, whatever the parameters; no parameter can take it away."""
    function = only(of_type(template("template.yaml"), "AWS::Lambda::Function"))
    assert function["Environment"]["Variables"]["SENTINEL_RATE_LIMIT_TABLE"] == {"Ref": "RateLimitTable"}
    for path in STACKS:
        assert template(path)["Outputs"]["RateLimitTableName"]["Value"] == {"Ref": "RateLimitTable"}


def test_parameters_of_the_limit_reach_the_function():
    # An empty value or a burst of 0 would stop the start.
    assert "SENTINEL_RATE_LIMIT_BURST" not in settings()
    assert settings(RateLimitBurst="20")["SENTINEL_RATE_LIMIT_BURST"] == "20"
    assert settings(RateLimitFailureMode="closed")["SENTINEL_RATE_LIMIT_FAILURE_MODE"] == "closed"
    mode = source("template.yaml")["Parameters"]["RateLimitFailureMode"]
    assert (mode["Default"], mode["AllowedValues"]) == ("memory", ["memory", "open", "closed"])


DEVICE_SETTINGS = {
    "SENTINEL_MDM_PROVIDER",
    "SENTINEL_MDM_BASE_URL",
    "SENTINEL_MDM_TENANT_ID",
    "MDM_SECRET_ARN",
    "SENTINEL_REQUIRE_DEVICE",
    "SENTINEL_CLIENT_TOKEN_SECRET_ARN",
}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"SENTINEL_MDM_PROVIDER": "none", "SENTINEL_REQUIRE_DEVICE": "false"}),
        (
            {**JAMF, "RequireDevice": "true"},
            {
                "SENTINEL_MDM_PROVIDER": "jamf",
                "SENTINEL_MDM_BASE_URL": "https://mdm.example.com",
                "MDM_SECRET_ARN": MDM_SECRET,
                "SENTINEL_REQUIRE_DEVICE": "true",
            },
        ),
        (
            INTUNE,
            {
                "SENTINEL_MDM_PROVIDER": "intune",
                "SENTINEL_MDM_TENANT_ID": "example.com",
                "MDM_SECRET_ARN": MDM_SECRET,
                "SENTINEL_REQUIRE_DEVICE": "false",
            },
        ),
        (
            {"ClientTokenSecretArn": TOKENS_SECRET},
            {
                "SENTINEL_MDM_PROVIDER": "none",
                "SENTINEL_REQUIRE_DEVICE": "false",
                "SENTINEL_CLIENT_TOKEN_SECRET_ARN": TOKENS_SECRET,
            },
        ),
    ],
)
def test_security_devices_and_tokens_are_demanded_as_asked_for(parameters, expected):
    """THREAT: somebody asks for devices or tokens at deployment, and the function never hears of it.
    PREVENTION: each parameter is the function's setting of that name, and nothing is set that was not given (an empty value
    would stop the start)."""
    variables = settings(**parameters)
    assert {name: value for name, value in variables.items() if name in DEVICE_SETTINGS} == expected
    assert "" not in variables.values()


@pytest.mark.parametrize(
    ("parameters", "culprits"),
    [
        ({}, []),
        (JAMF, []),
        (JAMF | {"MdmProvider": "kandji", "RequireDevice": "true"}, []),
        (INTUNE | {"RequireDevice": "true"}, []),
        (INTUNE | {"MdmBaseUrl": "https://graph.microsoft.us"}, []),
        ({"ClientTokenSecretArn": TOKENS_SECRET}, []),
        # The function takes no notice of a tenant that it does not need.
        (JAMF | {"MdmTenantId": "example.com"}, []),
        (JAMF | {"MdmSecretArn": ""}, ["MdmProvider"]),
        (JAMF | {"MdmBaseUrl": ""}, ["MdmProvider"]),
        (JAMF | {"MdmProvider": "kandji", "MdmBaseUrl": ""}, ["MdmProvider"]),
        (INTUNE | {"MdmTenantId": ""}, ["MdmProvider"]),
        (INTUNE | {"MdmSecretArn": ""}, ["MdmProvider"]),
        ({"MdmProvider": "jamf"}, ["MdmProvider", "MdmProvider"]),
        ({"RequireDevice": "true"}, ["RequireDevice"]),
        ({"MdmBaseUrl": "https://mdm.example.com"}, ["MdmBaseUrl"]),
        ({"MdmSecretArn": MDM_SECRET}, ["MdmSecretArn"]),
        (JAMF | {"MdmProvider": "none", "RequireDevice": "true"}, ["RequireDevice", "MdmBaseUrl", "MdmSecretArn"]),
    ],
)
def test_security_half_of_a_device_management_is_refused(parameters, culprits):
    """THREAT: half of the settings: the function refuses to start, and nobody gets credentials until the next deployment.
    PREVENTION: CloudFormation refuses them before it deploys anything."""
    assert [refusal.split()[0] for refusal in refusals("template.yaml", **parameters)] == culprits


def test_security_device_management_is_asked_over_https():
    """THREAT: a base URL that sends the token in the clear or carries credentials, which everyone who may describe the stack
    can read; or a tenant that is a path, and leads the client's secret elsewhere.
    PREVENTION: CloudFormation refuses such parameters (the function would too, but only once it is deployed)."""
    parameters = source("template.yaml")["Parameters"]
    url, tenant = (parameters[name]["AllowedPattern"] for name in ["MdmBaseUrl", "MdmTenantId"])
    for value in ["", "https://mdm.example.com", "https://mdm.example.com:8443/jamf/"]:
        assert re.fullmatch(url, value), value
    for value in [
        "mdm.example.com",
        "http://mdm.example.com",
        "https://",
        "https://user@mdm.example.com",
        "https://user:pass@mdm.example.com",
        "https://mdm.example.com?a=b",
        "https://mdm.example.com/#a",
        "https://mdm.example.com/a b",
    ]:
        assert not re.fullmatch(url, value), value
    for value in ["", "01234567-89ab-cdef-0123-456789abcdef", "example.onmicrosoft.com"]:
        assert re.fullmatch(tenant, value), value
    for value in [".", "..", "a..b", "a/b", "../x", "a?b", "a#b", "a@b", "a b", "a%2fb", "*"]:
        assert not re.fullmatch(tenant, value), value


def test_security_secrets_are_not_in_the_template():
    """THREAT: a secret as parameter or environment variable: whoever may describe the stack or the function reads it.
    PREVENTION: only the secrets' ARNs are handed over."""
    assert "SENTINEL_MDM_API_TOKEN" not in (ROOT / "template.yaml").read_text()
    for path in STACKS:
        for name in source(path)["Parameters"]:
            assert not re.search("Token$|Secret$|Password", name), name


def test_security_policies_come_from_one_layer():
    """THREAT: Lambda merges all layers under /opt, and the function reads each *.cedar there: another layer adds policies
    that nobody reviewed.
    PREVENTION: the policy layer is the only one, whatever the parameters."""
    function = only(of_type(template("template.yaml"), "AWS::Lambda::Function"))
    (layer,) = function["Layers"]
    assert layer["Ref"] in of_type(template("template.yaml"), "AWS::Lambda::LayerVersion")
    assert function["Environment"]["Variables"]["SENTINEL_POLICY_DIR"] == "/opt"


def test_both_templates_make_the_same_table_and_grants():
    def resources(path):
        # Each has its own way to call the function.
        text = json.dumps(template(path)["Resources"])
        return json.loads(text.replace(NAMES[path], "NAME").replace("${AWS::StackName}", "NAME"))

    sam, permissions = map(resources, STACKS)
    for name in ["RateLimitTable", "GrantsTable", "FunctionRole"]:
        assert sam[name] == permissions[name], name
    sam, permissions = map(template, STACKS)
    for name, rule in permissions["Rules"].items():
        assert sam["Rules"][name] == rule, name
    for section in ["Parameters", "Conditions"]:
        shared = sam[section].keys() & permissions[section].keys()
        assert shared >= permissions[section].keys() - {"FunctionName"}
        for name in shared:
            assert sam[section][name] == permissions[section][name], name


@pytest.mark.parametrize("path", STACKS)
def test_security_function_role_is_for_lambda_only(path):
    """THREAT: a person or another service takes on the function's role, and with it every protected role.
    PREVENTION: its trust policy names the Lambda service, and nobody else."""
    (statement,) = trusts(deployed(path))
    assert statement == {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize("path", STACKS)
@pytest.mark.parametrize(
    ("parameter", "fine", "too_broad"),
    [
        (
            "ProtectedRolePattern",
            ["vended-*", "vended-development", "team/vended-*"],
            ["", "*", "v*", "**", "*vended", "vended-*-x", "vended-**", "vended-?"],
        ),
        (
            "ProtectedRolesElsewhere",
            ["", "arn:aws:iam::444455556666:role/vended-*", "arn:aws-cn:iam::444455556666:role/team/vended-a"],
            [
                "*",
                "arn:aws:iam::444455556666:role/*",
                "arn:aws:iam::*:role/vended-*",
                "arn:aws:iam::444455556666:user/vended-a",
                "arn:aws:iam::444455556666:role/vended-*-x",
                "arn:*:iam::444455556666:role/vended-a",
            ],
        ),
    ],
)
def test_security_protected_roles_cannot_be_all_roles(path, parameter, fine, too_broad):
    """THREAT: a hurried deployment passes `*`, and the function may assume any role that trusts its account.
    PREVENTION: CloudFormation refuses the parameter: a literal beginning, one star at the end at most."""
    definition = source(path)["Parameters"][parameter]
    assert definition["Default"] in fine
    takes(definition, fine)
    refuses(definition, too_broad)


def test_security_not_every_session_name_is_believed():
    """THREAT: with `*` as NamedSessionRoles, or in every account, any caller picks a session name, and is the person of that
    name.
    PREVENTION: CloudFormation refuses the parameter (the function would too, but only once it is deployed)."""
    definition = source("template.yaml")["Parameters"]["NamedSessionRoles"]
    takes(definition, [
        definition["Default"],
        "AWSReservedSSO_Developer_*,Okta-People",
        "AWSReservedSSO_*,444455556666:AWSReservedSSO_Developer_*",
    ])
    refuses(definition, ["", "*", "**", "AWSReservedSSO_*,*", "*_Developer", "a,,b", "*:a", "123:a", "444455556666:*", ":a"])


def test_security_a_proof_is_demanded_as_asked_for():
    """THREAT: somebody asks for caller proofs at deployment, and the function never hears of it; or the audience is a URL,
    which no proof names.
    PREVENTION: each parameter is the function's setting of that name; CloudFormation refuses what is no host."""
    assert settings()["SENTINEL_CALLER_PROOF"] == "accepted"
    # An empty value would stop the start.
    assert "SENTINEL_CALLER_PROOF_AUDIENCE" not in settings()
    host = "urlid123.lambda-url.eu-central-1.on.aws"
    variables = settings(CallerProof="required", CallerProofAudience=host)
    assert variables["SENTINEL_CALLER_PROOF"] == "required"
    assert variables["SENTINEL_CALLER_PROOF_AUDIENCE"] == host
    parameters = source("template.yaml")["Parameters"]
    # Without quotation marks `off` would be a boolean of YAML.
    assert parameters["CallerProof"]["AllowedValues"] == ["off", "accepted", "required"]
    takes(parameters["CallerProofAudience"], ["", host, "api.example.com:8443"])
    refuses(parameters["CallerProofAudience"], [f"https://{host}/", f"{host}/", "*", "a b", f"{host},b"])


def test_security_the_age_of_the_policy_is_an_alarm_before_it_is_an_outage():
    """THREAT: reloads fail, nobody hears of it, and at the maximum age the service stops; or a withdrawn permission works
    until then.
    PREVENTION: an alarm at a third of that age, whatever the parameter; but none at an age that PolicyTtl allows."""
    text = settings(PolicyParameter=POLICY_PATH, PolicyMaxAge="7200")["SENTINEL_POLICY_MAX_AGE"]
    assert text == "7200"
    alarm = alarms(PolicyParameter=POLICY_PATH)["PolicyAgeAlarm"]
    share, age = alarm["Metrics"]
    assert share["Expression"] == {"Fn::Sub": "IF(age > ${PolicyTtl}, 100 * age / ${PolicyMaxAge}, 0)"}
    assert (age["Id"], age["MetricStat"]["Stat"], age["ReturnData"]) == ("age", "Maximum", False)
    assert alarm["Threshold"] == 33
    parameter = source("template.yaml")["Parameters"]["PolicyMaxAge"]
    assert [parameter[key] for key in ["Default", "MinValue", "MaxValue"]] == [3600, 60, 604800]


@pytest.mark.parametrize("path", STACKS)
def test_security_callers_cannot_forge_an_event(path):
    """THREAT: lambda:InvokeFunction without its condition lets a caller write the event, and so the identity in it: such
    a caller gets anybody's credentials.
    PREVENTION: the callers' policy is the only one with Lambda actions; both are held to this function and to its URL."""
    parsed = deployed(path)
    lambda_grants = [s for s in grants(parsed) if any(a.startswith("lambda:") for a in listed(s["Action"]))]
    assert lambda_grants == only(of_type(parsed, "AWS::IAM::ManagedPolicy"))["PolicyDocument"]["Statement"]
    url, invoke = lambda_grants
    assert url["Action"] == "lambda:InvokeFunctionUrl"
    assert url["Condition"] == {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}
    assert invoke["Action"] == "lambda:InvokeFunction"
    assert invoke["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    by_hand = function_arn("deploy/permissions.yaml")
    function_and_alias = {
        "template.yaml": [{"Fn::GetAtt": ["Function", "Arn"]}, {"Ref": "FunctionAliaslive"}],
        "deploy/permissions.yaml": [by_hand, {"Fn::Sub": f"{by_hand['Fn::Sub']}:live"}],
    }[path]
    assert url["Resource"] == invoke["Resource"] == function_and_alias


def resources_of(kind, **parameters):
    return of_type(deployed("template.yaml", **parameters), kind)


def test_the_function_is_in_the_vpc_that_it_is_given():
    def vpc(**parameters):
        return only(resources_of("AWS::Lambda::Function", **parameters)).get("VpcConfig")

    assert vpc() is None
    subnets = {"VpcSubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d", "VpcSecurityGroupIds": "sg-0a1b2c3d"}
    assert vpc(**subnets) == {
        "SubnetIds": {"Fn::Split": [",", {"Ref": "VpcSubnetIds"}]},
        "SecurityGroupIds": {"Fn::Split": [",", {"Ref": "VpcSecurityGroupIds"}]},
    }
    for half in subnets:
        assert refusals("template.yaml", **{half: subnets[half]}), half
    assert not refusals("template.yaml", **subnets)
    takes(source("template.yaml")["Parameters"]["VpcSubnetIds"], ["", *subnets["VpcSubnetIds"].split(","), subnets["VpcSubnetIds"]])
    refuses(source("template.yaml")["Parameters"]["VpcSubnetIds"], ["vpc-0a1b2c3d", "subnet-0a1b2c3d,"])


def test_the_url_belongs_to_the_alias_and_the_alias_to_the_newest_version():
    ((version, published),) = resources_of("AWS::Lambda::Version", Release="1700000000-abc").items()
    ((name, alias),) = resources_of("AWS::Lambda::Alias").items()
    assert only(resources_of("AWS::Lambda::Url"))["TargetFunctionArn"] == {"Ref": name}
    assert alias["Name"] == "live"
    assert version == "FunctionVersion1700000000"
    assert published == {"FunctionName": {"Ref": "Function"}, "Description": {"Ref": "Release"}}
    resource = template("template.yaml", {"Release": "1700000000-abc"})["Resources"]
    assert resource[version]["DeletionPolicy"] == "Retain", "a later deployment must not delete what a rollback needs"
    assert resource[name]["Properties"]["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}


def test_a_new_release_publishes_whatever_else_changed():
    """SAM hashes neither the values of parameters nor the layer: without Release, a deployment of these would reach no caller. And
    Lambda publishes no version of a function that has not changed: so the release is in its description, too."""

    def version(**parameters):
        return set(resources_of("AWS::Lambda::Version", **parameters))

    assert version() == version(RateLimitFailureMode="closed"), "this is why there is a Release: is it still needed?"
    assert version(Release="1700000000") != version(Release="1700000001")
    descriptions = {
        only(resources_of("AWS::Lambda::Function", Release=release))["Description"] for release in ("1700000000-abc", "1700000001-abc")
    }
    assert len(descriptions) == 2 and all(len(text) <= 256 for text in descriptions)
    takes(source("template.yaml")["Parameters"]["Release"], ["initial", "1700000000", "1700000000-0a1b2c3d-dirty"])
    # SAM looks at the first ten characters only, and they become a part of a logical id.
    refuses(source("template.yaml")["Parameters"]["Release"], ["", "17000000001", "2026-11-21", "a b", "1700000000-"])


def test_a_gradual_shift_is_made_on_request_and_stopped_by_alarms():
    def kinds(**parameters):
        return {resource["Type"] for resource in deployed("template.yaml", **parameters)["Resources"].values()}

    steps = source("template.yaml")["Parameters"]["Shift"]["AllowedValues"]
    assert steps == list(source("template.yaml")["Mappings"]["Shifts"])
    at_once, *gradual = steps
    assert not [kind for kind in kinds(Shift=at_once) if "CodeDeploy" in kind]
    assert not {"AWS::IAM::Role"} - kinds() and set(resources_of("AWS::IAM::Role")) == {"FunctionRole"}
    for shift in gradual:
        group = only(resources_of("AWS::CodeDeploy::DeploymentGroup", Shift=shift))
        assert group["DeploymentConfigName"] == {"Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": shift}]}
        assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["ShiftRole", "Arn"]}
        assert group["AlarmConfiguration"] == {
            "Enabled": True,
            "Alarms": [{"Name": {"Ref": "FailuresAlarm"}}, {"Name": {"Ref": "ErrorsAlarm"}}],
        }
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        alias = deployed("template.yaml", Shift=shift)["Resources"]["FunctionAliaslive"]
        assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]


@pytest.mark.parametrize("path", STACKS)
def test_security_audit_trail_is_kept(path):
    """THREAT: who got which credentials is forgotten: logs that expire unseen, or go with a deleted stack.
    PREVENTION: a log group of a known name, with a retention, that outlives the stack."""
    group = deployed(path)["Resources"]["LogGroup"]
    properties = {
        "LogGroupName": {"Fn::Sub": f"/aws/lambda/{NAMES[path]}"},
        "RetentionInDays": {"Ref": "LogRetentionDays"},
    }
    assert group["Properties"] == properties
    under_key = deployed(path, LogKeyArn=KEY_ARN)["Resources"]["LogGroup"]
    assert under_key["Properties"] == properties | {"KmsKeyId": {"Ref": "LogKeyArn"}}
    assert group["DeletionPolicy"] == "RetainExceptOnCreate"
    assert group["UpdateReplacePolicy"] == "Retain"


def alarms(**parameters):
    return of_type(deployed("template.yaml", **parameters), "AWS::CloudWatch::Alarm")


def watched(alarm):
    """The metrics of an alarm: namespace, name, dimensions."""
    metrics = [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m] if "Metrics" in alarm else [alarm]
    for metric in metrics:
        yield metric["Namespace"], metric["MetricName"], {d["Name"]: d["Value"] for d in metric["Dimensions"]}


def assert_documented(namespace, name, dimensions, function):
    """A metric that is somewhere documented, of this function."""
    others = dict(dimensions)
    if namespace == "AWS/Lambda":
        assert name in LAMBDA_METRICS
        assert others == {"FunctionName": function}
        return
    assert namespace == NAMESPACE
    assert others.pop("function") == function
    assert others.keys() in METRICS[name], name
    for dimension, value in others.items():
        assert value in DIMENSION_VALUES[dimension], value


def substituted(sub, parsed, parameters):
    """What Fn::Sub makes of a text: names in the place of values."""
    text, given = sub["Fn::Sub"] if isinstance(sub["Fn::Sub"], list) else (sub["Fn::Sub"], {})
    given = {name: value if isinstance(value, str) else substituted(value, parsed, parameters) for name, value in given.items()}
    known = {*parsed["Resources"], *parsed["Parameters"]}

    def put(match):
        name = match[1]
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        assert name in given or name.startswith("AWS::") or name.split(".")[0] in known, name
        return given.get(name, name)

    return re.sub(r"\$\{([^}]*)\}", put, text)


def widgets(**parameters):
    """The dashboard's widgets with these parameters."""
    parsed = deployed("template.yaml", **parameters)
    body = only(of_type(parsed, "AWS::CloudWatch::Dashboard"))["DashboardBody"]
    return json.loads(substituted(body, parsed, parameters))["widgets"]


TRAIL = {"TrailLogGroupName": "organization-trail"}
ANOMALIES = {"AnomalyAccount": "123456789012"}
OPTIONS = [{}, {"PolicyParameter": POLICY_PATH}, TRAIL, ANOMALIES]


def test_codes_are_those_of_the_documentation():
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+)", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    documented = {code: int(status) for status, codes in rows for code in re.findall("`([A-Z_]+)`", codes)}
    assert documented == STATUSES


def test_alarms_watch_documented_metrics():
    for alarm in alarms(PolicyParameter=POLICY_PATH).values():
        for metric in watched(alarm):
            assert_documented(*metric, function={"Ref": "Function"})


def test_alarms_are_there_for_each_kind_of_trouble():
    always = {
        "ErrorsAlarm": {"Errors"},
        "ThrottlesAlarm": {"Throttles"},
        "FailuresAlarm": {"Requests"},
        "RefusalsAlarm": {"Requests"},
        "LatencyAlarm": {"Latency"},
        "BreakerAlarm": {"BreakerOpen"},
        "EmergencyAlarm": {"Emergencies"},
        "LimiterDegradedAlarm": {"LimiterDegraded"},
        "SecretRefreshAlarm": {"SecretRefreshFailures"},
    }
    of_policy = {"PolicyReloadAlarm": {"PolicyReloadFailures"}, "PolicyAgeAlarm": {"PolicyAge"}}

    def metrics(**parameters):
        found = alarms(**parameters)
        found.pop("DirectInvocationAlarm", None)
        found.pop("VendsAnomalyAlarm", None)
        return {name: {metric for _, metric, _ in watched(alarm)} for name, alarm in found.items()}

    assert metrics() == metrics(**TRAIL) == metrics(**ANOMALIES) == always
    assert metrics(PolicyParameter=POLICY_PATH) == always | of_policy
    assert alarms(**TRAIL).keys() - alarms().keys() == {"DirectInvocationAlarm"}
    assert alarms(**ANOMALIES).keys() - alarms().keys() == {"VendsAnomalyAlarm"}


def matches(pattern, event):
    """Whether a filter pattern of CloudWatch Logs matches a JSON event: comparisons with a star at the end, && and ||."""

    def compare(match):
        value = event
        for name, index in re.findall(r"(\w+)|\[(\d+)\]", match["path"]):
            value = value[int(index)] if index else value[name]
        equal = re.fullmatch(re.escape(match["text"]).replace(r"\*", ".*"), value) is not None
        return str(equal == (match["operator"] == "="))

    logic = re.sub(r'\$\.(?P<path>[\w.\[\]]+) (?P<operator>!?=) "(?P<text>[^"]*)"', compare, pattern.strip("{} "))
    assert re.fullmatch(r"(True|False|&&|\|\||[() ])+", logic), logic
    return eval(logic.replace("&&", " and ").replace("||", " or "))


@pytest.mark.parametrize(
    ("name", "function", "counted"),
    [
        ("Invoke", "FUNCTION", True),
        ("Invoke", "FUNCTION:live", True),
        ("InvokeAsync", "FUNCTION", True),
        ("InvokeWithResponseStream", "FUNCTION", True),
        ("InvokeFunctionUrl", "FUNCTION", False),
        ("Invoke", "FUNCTION-2", False),
        ("Invoke", "another", False),
        ("UpdateFunctionCode20150331v2", "FUNCTION", False),
    ],
)
def test_security_a_direct_invocation_is_an_alarm(name, function, counted):
    """THREAT: whoever may invoke the function directly writes the identity of the caller, and nobody hears of it.
    PREVENTION: on request, each invocation that the trail names and that is none of the URL is counted, and one is an
    alarm. Without a trail there is neither."""
    filters = {"AWS::Logs::MetricFilter"}
    assert not [r for r in deployed("template.yaml")["Resources"].values() if r["Type"] in filters]
    parsed = deployed("template.yaml", **TRAIL)
    counting = only(of_type(parsed, "AWS::Logs::MetricFilter"))
    assert counting["LogGroupName"] == {"Ref": "TrailLogGroupName"}
    text, names = counting["FilterPattern"]["Fn::Sub"]
    assert names == {"Arn": {"Fn::GetAtt": ["Function", "Arn"]}}
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:"
    event = {
        "eventSource": "lambda.amazonaws.com",
        "eventName": name,
        "resources": [{"type": "AWS::Lambda::Function", "ARN": arn + function.replace("FUNCTION", "sentinel-tvm")}],
    }
    assert matches(text.replace("${Arn}", f"{arn}sentinel-tvm"), event) is counted
    (transformation,) = counting["MetricTransformations"]
    alarm = alarms(**TRAIL)["DirectInvocationAlarm"]
    assert (transformation["MetricNamespace"], transformation["MetricName"]) == (alarm["Namespace"], alarm["MetricName"])
    assert (transformation["MetricValue"], alarm["Statistic"], alarm["Threshold"]) == ("1", "Sum", 0)


def test_security_unusually_many_credentials_of_one_account_are_an_alarm():
    """THREAT: stolen credentials are used below every quota, at night, by a program: each request looks like any other.
    PREVENTION: on request, an account's credentials are counted from its audit lines and compared with what is usual."""
    assert "AWS::Logs::MetricFilter" not in {r["Type"] for r in deployed("template.yaml")["Resources"].values()}
    counting = only(resources_of("AWS::Logs::MetricFilter", **ANOMALIES))
    assert counting["LogGroupName"] == {"Ref": "LogGroup"}
    fields = re.findall(r"\$\.(\w+)", counting["FilterPattern"])
    (made,) = counting["MetricTransformations"]
    (dimension,) = made["Dimensions"]
    schema = json.loads((ROOT / "docs/audit.schema.json").read_text())["properties"]
    assert fields == ["type", "issued_access_key_id"] and {*fields, dimension["Value"].removeprefix("$.")} <= schema.keys()
    alarm = alarms(**ANOMALIES)["VendsAnomalyAlarm"]
    vends, usual = alarm["Metrics"]
    metric = vends["MetricStat"]["Metric"]
    assert (metric["Namespace"], metric["MetricName"]) == (made["MetricNamespace"], made["MetricName"])
    assert metric["Dimensions"] == [{"Name": dimension["Key"], "Value": {"Ref": "AnomalyAccount"}}]
    assert alarm["ThresholdMetricId"] == usual["Id"] and usual["Expression"] == f"ANOMALY_DETECTION_BAND({vends['Id']}, 3)"
    takes(source("template.yaml")["Parameters"]["AnomalyAccount"], ["", "123456789012"])
    refuses(source("template.yaml")["Parameters"]["AnomalyAccount"], ["1234", "12345678901a"])


@pytest.mark.parametrize(
    ("name", "statuses", "threshold"),
    [
        ("FailuresAlarm", range(500, 600), 0),
        ("RefusalsAlarm", [401, 403, 429], {"Ref": "RefusalAlarmThreshold"}),
    ],
)
def test_alarms_on_answers_sum_every_code(name, statuses, threshold):
    alarm = alarms()[name]
    total, *parts = alarm["Metrics"]
    assert {dimensions["code"] for _, _, dimensions in watched(alarm)} == {
        code for code, status in STATUSES.items() if status in statuses
    }
    # A metric without data would take the whole sum's.
    filled = ", ".join(f"FILL({part['Id']}, 0)" for part in parts)
    assert total["Expression"] == f"SUM([{filled}])"
    assert [part["ReturnData"] for part in parts] == [False] * len(parts)
    assert {(part["MetricStat"]["Stat"], part["MetricStat"]["Period"]) for part in parts} == {("Sum", 300)}
    assert alarm["Threshold"] == threshold


@pytest.mark.parametrize("parameters", OPTIONS)
def test_alarms_tell_the_topic_and_what_to_do(parameters):
    for name, alarm in alarms(**parameters).items():
        assert not {"AlarmActions", "OKActions", "InsufficientDataActions"} & alarm.keys(), name
    for name, alarm in alarms(AlarmTopicArn=TOPIC, **parameters).items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopicArn"}], name
        # Where nobody calls there are no metrics, and that is fine.
        assert alarm["TreatMissingData"] == "notBreaching", name
        above = "GreaterThanUpperThreshold" if name == "VendsAnomalyAlarm" else "GreaterThanThreshold"
        assert alarm["ComparisonOperator"] == above, name
        assert alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"], name
        assert "First " in alarm["AlarmDescription"], name
        assert alarm["AlarmDescription"].endswith('See "Alarms" in docs/operations.md.'), name
        assert len(alarm["AlarmDescription"]) <= 1024, name
    topic = source("template.yaml")["Parameters"]["AlarmTopicArn"]
    takes(topic, ["", TOPIC])
    refuses(topic, ["sentinel-alarms", TOPIC + ".fifo", TOPIC + ",x", "arn:aws:sqs:eu-central-1:123456789012:alarms"])


def test_dashboard_can_be_left_out():
    assert not of_type(deployed("template.yaml", Dashboard="false"), "AWS::CloudWatch::Dashboard")
    assert widgets()


@pytest.mark.parametrize("parameters", OPTIONS)
def test_dashboard_shows_every_alarm(parameters):
    (widget,) = [w for w in widgets(**parameters) if w["type"] == "alarm"]
    assert sorted(widget["properties"]["alarms"]) == sorted(f"{name}.Arn" for name in alarms(**parameters))


def test_dashboard_shows_every_metric_and_no_other():
    shown = set()
    for widget in widgets():
        for row in widget["properties"].get("metrics", []):
            if isinstance(row[0], dict):
                found = re.fullmatch(
                    r"""SEARCH\('\{"([^"]+)",([a-z,]+)\} MetricName="(\w+)" function="Function"', '(Sum)', 300\)""",
                    row[0]["expression"],
                )
                namespace, dimensions, name = found[1], found[2].split(","), found[3]
                assert namespace == NAMESPACE
                assert {*dimensions} - {"function"} in METRICS[name]
                assert {f"Dim.{dimension}" for dimension in dimensions[1:]} == {*re.findall(r"PROP\('([^']+)'\)", row[0]["label"])}
            else:
                namespace, name, *dimensions = [part for part in row if isinstance(part, str)]
                names, dimension_values = dimensions[::2], dimensions[1::2]
                assert_documented(namespace, name, dict(zip(names, dimension_values, strict=True)), function="Function")
            shown.add(name)
    assert shown == METRICS.keys() | LAMBDA_METRICS


def test_dashboard_is_laid_out_without_overlap():
    cells = [
        (x, y)
        for w in widgets()
        for x in range(w["x"], w["x"] + w["width"])
        for y in range(w["y"], w["y"] + w["height"])
    ]
    assert len(cells) == len({*cells})
    assert {x for x, _ in cells} <= {*range(24)}
    for widget in widgets():
        assert widget["type"] == "alarm" or widget["properties"]["region"] == "AWS::Region"


def queries():
    """Each query, those of the dashboard included."""
    parsed = template("template.yaml")
    for query in of_type(parsed, "AWS::Logs::QueryDefinition").values():
        assert query["LogGroupNames"] == [{"Ref": "LogGroup"}]
        assert query["Name"]["Fn::Sub"].startswith("${AWS::StackName}/")
        yield query["QueryString"]
    for widget in widgets():
        if widget["type"] == "log":
            group, query = widget["properties"]["query"].split(" | ", 1)
            assert group == "SOURCE 'LogGroup'"
            yield query.replace(" | ", "\n| ")


def test_queries_ask_for_documented_fields_of_audit_lines():
    words = {"and", "or", "like", "as", "by", "desc", "asc"}
    documented = {*re.findall(r"`(\w+)`", (ROOT / "docs/operations.md").read_text())}
    assert len([*queries()]) == 12
    for query in queries():
        lines = [line.removeprefix("| ") for line in query.splitlines() if not line.startswith("#")]
        commands = [line.split()[0] for line in lines]
        assert {*commands} <= {"fields", "filter", "stats", "sort", "limit"}
        assert any(line.startswith('filter type = "audit" and ') for line in lines)
        assert commands[-1] == "limit"
        text = re.sub(r'"[^"]*"|\b\w+(?=\()|\b\d\w*|@timestamp', " ", " ".join(line.split(" ", 1)[1] for line in lines))
        named = {*re.findall(r"\bas (\w+)", text)} | words
        for field in {*re.findall(r"[a-z_]+(?:\.[a-z_]+)*", text)} - named:
            assert {*field.split(".")} <= documented | {"type"}, field


@pytest.mark.parametrize("path", TEMPLATES)
def test_checks_are_skipped_for_a_reason(path):
    for name, resource in source(path)["Resources"].items():
        for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert re.fullmatch(r"CKV_AWS_\d+", skipped["id"]), name
            assert skipped["comment"].endswith("."), name


def test_security_protected_role_trusts_the_function_on_its_terms():
    """THREAT: someone beside the function assumes a protected role; or the function's role does, with nobody's name on
    the session, or with that of another profile.
    PREVENTION: one principal; source identity and profile tag demanded for each action that knows them; one hour."""
    parsed = template("deploy/protected-role.yaml")
    assert only(of_type(parsed, "AWS::IAM::Role"))["MaxSessionDuration"] == 3600
    identity = {"StringLike": {"sts:SourceIdentity": "sentinel-*"}}
    profile = {"StringEquals": {"aws:RequestTag/SentinelProfile": {"Ref": "Profile"}}}
    statements = list(trusts(parsed))
    assert all(s["Principal"] == {"AWS": {"Ref": "FunctionRoleArn"}} for s in statements)
    assert {s["Action"]: s["Condition"] for s in statements} == {
        "sts:AssumeRole": identity | profile,
        "sts:SetSourceIdentity": identity,
        "sts:TagSession": profile,
    }
    assert source("deploy/protected-role.yaml")["Parameters"]["FunctionRoleArn"].get("Default") is None


def cargo():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())


def cargo_lambda():
    """The settings of cargo-lambda. In a workspace, it reads those of a package only if a command names the package."""
    assert "metadata" not in cargo()["package"]
    return cargo()["workspace"]["metadata"]["lambda"]


def test_security_cargo_lambda_makes_no_url():
    """THREAT: `cargo lambda deploy` with enable_function_url makes a URL with AuthType NONE and grants both invoke
    actions to everyone.
    PREVENTION: Cargo.toml does not enable it; the URL is made by its own command, with AWS_IAM."""
    assert "enable_function_url" not in cargo_lambda()["deploy"]


def test_security_a_panic_is_a_reply():
    """THREAT: `cargo lambda build --release` sets panic = "abort" unless the profile says otherwise: one request that
    panics takes the process down, and everyone waits for a cold start.
    PREVENTION: the release profile says "unwind", and the runtime turns the panic into a reply."""
    assert cargo()["profile"]["release"]["panic"] == "unwind"


def test_cargo_lambda_and_sam_deploy_the_same_function():
    metadata = cargo_lambda()
    function = only(of_type(template("template.yaml"), "AWS::Lambda::Function"))
    assert (metadata["deploy"]["memory"], metadata["deploy"]["timeout"]) == (function["MemorySize"], function["Timeout"])
    layer = source("template.yaml")["Resources"]["PolicyLayer"]["Properties"]
    assert metadata["build"]["include"] == metadata["deploy"]["include"] == [layer["ContentUri"]]


def test_security_audit_lines_are_not_filtered():
    """THREAT: an application log level of WARN looks like thrift, and Lambda silently drops every audit line, which counts
    as INFO.
    PREVENTION: JSON to the function's own group, and no level."""
    function = only(of_type(template("template.yaml"), "AWS::Lambda::Function"))
    assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": {"Ref": "LogGroup"}}
    assert function["FunctionName"] == {"Ref": "AWS::StackName"}  # what the log group is called after


def test_function_is_given_documented_settings_only():
    documented = ROOT / "docs/configuration.md"
    if not documented.exists():
        pytest.skip("docs/configuration.md is not written yet")
    function = only(of_type(template("template.yaml"), "AWS::Lambda::Function"))
    names = set(re.findall(r"`((?:SENTINEL|MDM)_[A-Z_]+)`", documented.read_text()))
    assert function["Environment"]["Variables"].keys() <= names


@pytest.mark.parametrize("path", TEMPLATES)
def test_every_parameter_is_used_and_explained(path):
    parsed = source(path)
    body = json.dumps({key: value for key, value in parsed.items() if key != "Parameters"})
    for name, definition in parsed["Parameters"].items():
        assert f'{{"Ref": "{name}"}}' in body or f"${{{name}}}" in body, name
        assert definition["Description"].endswith("."), name


def test_deployment_guide_lists_every_parameter_and_output():
    parsed = source("template.yaml")
    guide = (ROOT / "docs/deployment.md").read_text()
    for name, definition in parsed["Parameters"].items():
        default = str(definition["Default"]) or "none"
        assert re.search(rf"^\| `{name}` \| `?{re.escape(default)}`? \|", guide, re.MULTILINE), name
    for name in parsed["Outputs"]:
        assert f"`{name}`" in guide, name
