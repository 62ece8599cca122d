"""Who acts in the table, on what, and with which policies: `table.yaml` names what is defined here."""

import copy

import documents as d

FULL_ACCESS = {"Version": "2012-10-17", "Statement": [{"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}]}


def trust(principal, **conditions):
    """A trust policy for AssumeRole and what goes with it, as somebody writes it who does not think of this function."""
    statement = {"Sid": "Trust", "Effect": "Allow", "Principal": principal, "Action": list(ASSUME)}
    return {"Version": "2012-10-17", "Statement": [statement | conditions]}


ASSUME = ("sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession")

# Verbs for more than one action, or with a context. A row of such a verb is allowed only if each action is.
VERBS = {
    **{
        command: (actions, {"dynamodb:Attributes": ["PK", "Blocked", "BlockedSince", "BlockedReason", "BlockedBy", "TTL"]})
        for command, actions in {
            "aws dynamodb update-item": ("dynamodb:UpdateItem",),
            "make block": ("dynamodb:UpdateItem",),
            "make unblock": ("dynamodb:GetItem", "dynamodb:UpdateItem"),
        }.items()
    },
    "breaks the glass with": (("sts:AssumeRole",), {
        "aws:MultiFactorAuthPresent": "true",
        "aws:MultiFactorAuthAge": "60",
        "sts:RoleSessionName": "break-glass-1",
    }),
    "gets credentials from": (ASSUME, {
        "sts:SourceIdentity": "sentinel-alice",
        "aws:RequestTag/SentinelProfile": "development",
        "aws:TagKeys": ["SentinelProfile", "SentinelRequestId"],
    }),
}

# What a playbook does with one command of the AWS CLI, if it is not the one action of the same name, or with `make`.
PLAYBOOKS = {
    "make policy-push": ("ssm:GetParametersByPath", "ssm:PutParameter", "ssm:DeleteParameter"),
    "make rollback": ("lambda:GetAlias", "lambda:ListVersionsByFunction", "lambda:UpdateAlias"),
    "make revoke": ("iam:ListRolePolicies", "iam:GetRolePolicy", "iam:PutRolePolicy"),
    "make unrevoke": ("iam:ListRolePolicies", "iam:GetRolePolicy", "iam:DeleteRolePolicy"),
    "make block": ("dynamodb:UpdateItem",),
    "make unblock": ("dynamodb:GetItem", "dynamodb:UpdateItem"),
    "make settings": ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
}


def actions(verb):
    """The actions of a verb, and the context that goes with them."""
    if verb in VERBS:
        return VERBS[verb]
    if verb in PLAYBOOKS:
        return PLAYBOOKS[verb], {}
    if verb.startswith("aws "):
        _, service, command = verb.split()
        return (f"{service}:{''.join(word.capitalize() for word in command.split('-'))}",), {}
    return (verb,), {}


class Principal:
    """Who asks: an ARN, what IAM puts into the context of their requests, and their policies by name (of one source, if they
    are made from it)."""

    def __init__(self, arn, policies, context=None):
        self.arn, self.policies = arn, policies
        self.account = arn.split(":")[4] if arn.startswith("arn:") else ""
        self.context = ({"aws:PrincipalArn": role_of(arn)} if self.account else {}) | (context or {})


def role_of(arn):
    """The ARN of the role of a session: `aws:PrincipalArn`."""
    *start, resource = arn.split(":", 5)
    if resource.startswith("assumed-role/"):
        name = resource.split("/")[1]
        path = "aws-service-role/sso.amazonaws.com/" if name == "AWSServiceRoleForSSO" else ""
        return ":".join([*start[:2], "iam", *start[3:], f"role/{path}{name}"])
    return arn


def session(role, account=d.ACCOUNT, name="session"):
    return f"arn:aws:sts::{account}:assumed-role/{role}/{name}"


def without_denies(source):
    """The function's role as it would be with Allow statements only: a fence of conditioned Allows."""
    policies = copy.deepcopy(d.function_role(source))
    for policy in policies.values():
        policy["Statement"] = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    return policies


def with_anything_attached(source):
    return d.function_role(source) | everything(source)


def nothing(_source):
    return {}


def everything(_source):
    return {"everything": FULL_ACCESS}


def callers(source):
    return {f"callers of {source}": d.callers(source)}


def example(name):
    return lambda _source: {name: d.example(name)}


def from_function(arn):
    return {"lambda:SourceFunctionArn": arn}


FUNCTION_SESSION = session("sentinel-tvm-FunctionRole-EXAMPLE", name="sentinel-tvm")
ANOTHER_FUNCTION = f"arn:aws:lambda:{d.REGION}:{d.ACCOUNT}:function:another"
VENDED = session("vended-development", name="alice-0a1b2c3d")


def vended(name, issued, request):
    context = {
        "aws:SourceIdentity": f"sentinel-{name}",
        "aws:TokenIssueTime": issued,
        "aws:PrincipalTag/SentinelRequestId": request,
    }
    return Principal(VENDED, everything, context)


def user(name):
    """An IAM user without a policy, a minute after a second factor, who names the session as the trust policy wants it."""
    return Principal(f"arn:aws:iam::{d.ACCOUNT}:user/{name}", nothing, {"aws:username": name})


PRINCIPALS = {
    "the function": Principal(FUNCTION_SESSION, d.function_role, from_function(d.FUNCTION)),
    "another function with its role": Principal(FUNCTION_SESSION, d.function_role, from_function(ANOTHER_FUNCTION)),
    "its namesake in another region": Principal(
        FUNCTION_SESSION, d.function_role, from_function(d.FUNCTION.replace(d.REGION, "us-east-1"))
    ),
    "its namesake in another account": Principal(
        FUNCTION_SESSION, d.function_role, from_function(d.FUNCTION.replace(d.ACCOUNT, d.ELSEWHERE))
    ),
    "a version of it": Principal(FUNCTION_SESSION, d.function_role, from_function(f"{d.FUNCTION}:7")),
    "its alias live": Principal(FUNCTION_SESSION, d.function_role, from_function(f"{d.FUNCTION}:live")),
    "a version of another function": Principal(FUNCTION_SESSION, d.function_role, from_function(f"{ANOTHER_FUNCTION}:7")),
    "a function whose name begins with its name": Principal(
        FUNCTION_SESSION, d.function_role, from_function(f"{d.FUNCTION}-2")
    ),
    "its role outside Lambda": Principal(FUNCTION_SESSION, d.function_role),
    "the function, without denies": Principal(FUNCTION_SESSION, without_denies, from_function(d.FUNCTION)),
    "another function, without denies": Principal(FUNCTION_SESSION, without_denies, from_function(ANOTHER_FUNCTION)),
    "its role outside Lambda, without denies": Principal(FUNCTION_SESSION, without_denies),
    "the function with anything attached": Principal(FUNCTION_SESSION, with_anything_attached, from_function(d.FUNCTION)),
    "Lambda": Principal("lambda.amazonaws.com", nothing),
    "a caller": Principal(session("Caller"), callers),
    "a caller who needs MFA": Principal(session("Caller"), example("iam/callers-with-mfa")),
    "an administrator": Principal(session("Administrator"), everything),
    "an administrator elsewhere": Principal(session("Administrator", d.ELSEWHERE), everything),
    "an administrator outside": Principal(session("Administrator", d.OUTSIDE), everything),
    "the deployment": Principal(session("sentinel-deployment"), everything),
    "the responder": Principal(session("sentinel-responder"), example("iam/responder")),
    # Who may do anything but what the boundary denies. A row puts it under the boundary.
    "a developer": Principal(session("Developer"), everything),
    "a keyholder": user("break-glass-1"),
    "a user of another name": user("break-glass-3"),
    # `everything`, because whatever the role may do, its boundary has to hold.
    "a gradual shift": Principal(
        session("sentinel-tvm-ShiftRole-EXAMPLE"),
        lambda _source: {policy["PolicyName"]: policy["PolicyDocument"] for policy in d.shift_role("Policies")},
    ),
    "CodeDeploy": Principal("codedeploy.amazonaws.com", nothing),
    "the break-glass role": Principal(session("sentinel-break-glass", name="break-glass-1"), everything),
    "Identity Center": Principal(session("AWSServiceRoleForSSO"), everything),
    "alice, before the incident": vended("alice@example.com", "2026-03-04T10:00:00Z", "0a1b2c3d-4e5f-6789-abcd-ef0123456789"),
    "alice, after the incident": vended("alice@example.com", "2026-03-04T12:00:00Z", "11111111-4e5f-6789-abcd-ef0123456789"),
    "bob, before the incident": vended("bob@example.com", "2026-03-04T10:00:00Z", "22222222-4e5f-6789-abcd-ef0123456789"),
}


class Resource:
    """What is asked for: an ARN (by source, if it differs), its account, its own policy, and what IAM knows of it."""

    def __init__(self, arn, policy=None, context=None, account=None):
        self.arn, self.policy, self.context = arn, policy, context or {}
        self.account = account or arn.split(":")[4] or d.ACCOUNT


def role(name, policy=None, account=d.ACCOUNT, **context):
    return Resource(f"arn:aws:iam::{account}:role/{name}", policy, context)


def root(account):
    return {"AWS": f"arn:aws:iam::{account}:root"}


def parameter(path):
    return Resource(f"arn:aws:ssm:{d.REGION}:{d.ACCOUNT}:parameter{path}")


def stack(name):
    return Resource(f"arn:aws:cloudformation:{d.REGION}:{d.ACCOUNT}:stack/{name}/51af3dc0-da77-11e4-872e-1234567db123")


def policy(name):
    return Resource(f"arn:aws:iam::{d.ACCOUNT}:policy/{name}")


def of(document):
    return lambda _source: document


# A key policy that leaves it to IAM, as the console makes it.
KEY_POLICY = of({
    "Version": "2012-10-17",
    "Statement": [{"Sid": "LeaveItToIam", "Effect": "Allow", "Principal": root(d.ACCOUNT), "Action": "kms:*", "Resource": "*"}],
})
NAMES_THE_FUNCTIONS_ROLE = of(trust({"AWS": d.FUNCTION_ROLE}))
SECRET_THAT_NAMES_IT = {
    "Version": "2012-10-17",
    "Statement": [{
        "Sid": "ShareIt",
        "Effect": "Allow",
        "Principal": {"AWS": d.FUNCTION_ROLE},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }],
}
TAGGED = {"iam:ResourceTag/SentinelProtected": "true"}
IDENTITY_PROVIDER = {"Federated": f"arn:aws:iam::{d.ACCOUNT}:saml-provider/directory"}
TABLES = f"arn:aws:dynamodb:{d.REGION}:{d.ACCOUNT}:table"
CODEDEPLOY = f"arn:aws:codedeploy:{d.REGION}:{d.ACCOUNT}"
APPLICATION = "sentinel-tvm-ServerlessDeploymentApplication-EXAMPLE"

RESOURCES = {
    "a protected role": role("vended-development", d.protected_trust),
    "a protected role elsewhere": role("vended-development", d.protected_trust, d.ELSEWHERE),
    "a protected role that trusts its account": role("vended-development", of(trust(root(d.ACCOUNT)))),
    "a protected role that trusts another account": role("vended-development", of(trust(root(d.ELSEWHERE)))),
    "a protected role that trusts a stranger": role("vended-development", of(trust(root(d.OUTSIDE)))),
    "a role of no profile that names the function's role": role("backup", NAMES_THE_FUNCTIONS_ROLE),
    "a role that trusts its account": role("backup", of(trust(root(d.ACCOUNT)))),
    "a tagged role": role("payroll", of(trust(root(d.ACCOUNT))), **TAGGED),
    "a role tagged in lower case": role("payroll", of(trust(root(d.ACCOUNT))), **{"iam:ResourceTag/sentinelprotected": "true"}),
    "a tagged role that names the function's role": role("payroll", NAMES_THE_FUNCTIONS_ROLE, **TAGGED),
    "the function's role": role("sentinel-tvm-FunctionRole-EXAMPLE", d.function_trust),
    "the deployment's role": role("sentinel-deployment", of(trust(root(d.ACCOUNT)))),
    "the break-glass role": role("sentinel-break-glass", lambda _source: d.break_glass("AssumeRolePolicyDocument")),
    "the responder's role": role("sentinel-responder", of(trust(root(d.ACCOUNT)))),
    "a new protected role": role("vended-new"),
    "a role of one's own": role("my-function"),
    "a role named like a person's": role("AWSReservedSSO_Administrator_0123456789abcdef"),
    "a role named like a person's, below a path": role("team/AWSReservedSSO_Administrator_0123456789abcdef"),
    "the developers' boundary": policy("sentinel-developer-boundary"),
    "the function's boundary": policy("sentinel-function-boundary"),
    "the callers' policy": policy("sentinel-tvm-CallersPolicy-EXAMPLE"),
    "a policy of one's own": policy("my-policy"),
    "the function": Resource(d.FUNCTION),
    "its version": Resource(f"{d.FUNCTION}:7"),
    "its alias": Resource(f"{d.FUNCTION}:live"),
    "another alias of it": Resource(f"{d.FUNCTION}:canary"),
    "its alarm": Resource(d.alarm("FailuresAlarm")),
    "another alarm": Resource(d.alarm("FailuresAlarm").replace("sentinel-tvm", "orders")),
    "the shift's role": role("sentinel-tvm-ShiftRole-EXAMPLE", lambda _source: d.shift_role("AssumeRolePolicyDocument")),
    "its application of CodeDeploy": Resource(f"{CODEDEPLOY}:application:{APPLICATION}"),
    "its deployment group": Resource(f"{CODEDEPLOY}:deploymentgroup:{APPLICATION}/sentinel-tvm-FunctionDeploymentGroup-EXAMPLE"),
    "another deployment group": Resource(f"{CODEDEPLOY}:deploymentgroup:orders/production"),
    "another function": Resource(ANOTHER_FUNCTION),
    "any event source": Resource("*", account=d.ACCOUNT),
    "the trail of the account": Resource("*", account=d.ACCOUNT),
    "the table": Resource(d.TABLE_ARN, d.table_policy("rate_limit")),
    "the grants": Resource(d.GRANTS_ARN, d.table_policy("grants")),
    # As they were before the tables had policies of their own.
    "a table without a policy": Resource(d.TABLE_ARN),
    "grants without a policy": Resource(d.GRANTS_ARN),
    "the index of the grants": Resource(f"{d.GRANTS_ARN}/index/ByTime"),
    "the table of Terraform": Resource(f"{TABLES}/sentinel-tvm-rate-limit"),
    "the grants of Terraform": Resource(f"{TABLES}/sentinel-tvm-grants"),
    "the index of the grants of Terraform": Resource(f"{TABLES}/sentinel-tvm-grants/index/ByTime"),
    "a table of another stack": Resource(f"{TABLES}/orders-RateLimitTable-EXAMPLE"),
    "the table of a stack whose name begins with its name": Resource(f"{TABLES}/sentinel-tvm-2-RateLimitTable-EXAMPLE"),
    "another table": Resource(f"{TABLES}/orders"),
    "the log": Resource(f"{d.LOG_GROUP_ARN}:log-stream:2026/03/04/[$LATEST]0a1b"),
    # So AWS names a whole group in its own refusals.
    "the log group": Resource(f"{d.LOG_GROUP_ARN}:log-stream:"),
    "another log": Resource(f"arn:aws:logs:{d.REGION}:{d.ACCOUNT}:log-group:/aws/lambda/another:log-stream:a"),
    "the device management's secret": Resource(d.MDM_SECRET),
    "the client tokens": Resource(d.TOKENS_SECRET),
    "a secret that names the function's role": Resource(d.MDM_SECRET, of(SECRET_THAT_NAMES_IT)),
    "another secret": Resource(d.secret("payroll-AbC123")),
    "the policy's path": parameter(d.POLICY_PATH),
    "a parameter of the policy": parameter(f"{d.POLICY_PATH}/profiles"),
    "another path": parameter("/sentinel/other"),
    "the caller's user": Resource(f"arn:aws:iam::{d.ACCOUNT}:user/ci"),
    "the caller's role": role("Caller"),
    "the table's key": Resource(d.TABLE_KEY, KEY_POLICY),
    "the secrets' key": Resource(d.SECRET_KEY, KEY_POLICY),
    "the policy's key": Resource(d.POLICY_KEY, KEY_POLICY),
    "its stack": stack("sentinel-tvm"),
    "the stack of a protected role": stack("vended-development"),
    "another stack": stack("orders"),
    "the saved queries": Resource("*", account=d.ACCOUNT),
    "the log groups of the account": Resource("*", account=d.ACCOUNT),
    "its dashboard": Resource(f"arn:aws:cloudwatch::{d.ACCOUNT}:dashboard/sentinel-tvm"),
    "any network interface": Resource(f"arn:aws:ec2:{d.REGION}:{d.ACCOUNT}:network-interface/eni-0a1b2c3d"),
    "a bucket's object": Resource("arn:aws:s3:::orders/1", account=d.ACCOUNT),
}
