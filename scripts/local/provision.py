"""Creates on the emulator what the function needs from AWS: roles, callers, a secret and a table."""

import json
from dataclasses import dataclass
from typing import Optional

import boto3
from botocore.config import Config

ACCOUNT = "123456789012"
REGION = "us-east-1"

FUNCTION_ROLE = "sentinel-tvm-function"
CALLER_ROLE = "AWSReservedSSO_Developer_0123456789abcdef"
PROTECTED_ROLES = ("vended-development", "vended-customer-data", "vended-production")
MDM_TOKEN = "the-token-of-the-stand-in-for-jamf"
TABLE = "sentinel-rate-limit"
GRANTS = "sentinel-grants"
POLICY_PARAMETER = "/sentinel/policy"
VEND_ACTIONS = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]

HOURS_12 = 12 * 3600


@dataclass(frozen=True)
class Credentials:
    """AWS credentials and, where it matters, their owner."""

    access_key_id: str
    secret_access_key: str
    session_token: Optional[str] = None
    arn: str = ""
    user_id: str = ""

    def __repr__(self):
        return f"Credentials({self.access_key_id})"

    def client(self, service, endpoint):
        """A boto3 client of `service` at `endpoint` that uses these credentials."""
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            aws_session_token=self.session_token,
            config=Config(retries={"total_max_attempts": 1}),
        )


ROOT = Credentials("test", "test")


@dataclass(frozen=True)
class Provisioned:
    """The credentials of the function and its callers, and the ARN of the secret with the MDM token."""

    mdm_secret: str
    function: Credentials
    alice: Credentials
    bob: Credentials


def provision(endpoint):
    """Creates everything on the emulator at `endpoint`."""
    iam = ROOT.client("iam", endpoint)
    sts = ROOT.client("sts", endpoint)
    function_arn = _function_role(iam)
    for name in PROTECTED_ROLES:
        protected_role(iam, name, function_arn)
    caller_arn = _caller_role(iam)
    mdm_secret = _secret(ROOT.client("secretsmanager", endpoint))
    _may_read(iam, mdm_secret)
    dynamodb = ROOT.client("dynamodb", endpoint)
    _table(dynamodb)
    _grants(dynamodb)
    return Provisioned(
        mdm_secret=mdm_secret,
        function=_session(sts, function_arn, FUNCTION_ROLE, HOURS_12),
        alice=_session(sts, caller_arn, "alice@example.com", HOURS_12),
        bob=_user(iam, "bob"),
    )


def protected_role(iam, name, trusted_arn):
    """Creates a role to vend. Only `trusted_arn` may assume it."""
    trust = _allow(VEND_ACTIONS, Principal={"AWS": trusted_arn})
    return _role(iam, name, trust)


def _function_role(iam):
    trust = _allow(["sts:AssumeRole"], Principal={"Service": "lambda.amazonaws.com"})
    arn = _role(iam, FUNCTION_ROLE, trust, MaxSessionDuration=HOURS_12)
    vend = _allow(VEND_ACTIONS, Resource=f"arn:aws:iam::{ACCOUNT}:role/vended-*")
    iam.put_role_policy(RoleName=FUNCTION_ROLE, PolicyName="vend", PolicyDocument=vend)
    count = _allow(["dynamodb:UpdateItem"], Resource=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}")
    iam.put_role_policy(RoleName=FUNCTION_ROLE, PolicyName="count", PolicyDocument=count)
    grants = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{GRANTS}"
    decide = _allow(["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"], Resource=[grants, f"{grants}/index/ByTime"])
    iam.put_role_policy(RoleName=FUNCTION_ROLE, PolicyName="decide", PolicyDocument=decide)
    # AWS checks this action against the path. The emulator has no resource for it.
    read = _allow(["ssm:GetParametersByPath"], Resource="*")
    iam.put_role_policy(RoleName=FUNCTION_ROLE, PolicyName="read-policy", PolicyDocument=read)
    return arn


def _caller_role(iam):
    """Creates a role as IAM Identity Center does for a permission set. The account's root takes the place of its portal."""
    trust = _allow(["sts:AssumeRole"], Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    path = "/aws-reserved/sso.amazonaws.com/"
    return _role(iam, CALLER_ROLE, trust, Path=path, MaxSessionDuration=HOURS_12)


def _role(iam, name, trust, **settings):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **settings)["Role"]["Arn"]


def _allow(actions, **rest):
    statement = {"Effect": "Allow", "Action": actions, **rest}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _session(sts, role_arn, name, seconds):
    session = sts.assume_role(RoleArn=role_arn, RoleSessionName=name, DurationSeconds=seconds)
    issued, user = session["Credentials"], session["AssumedRoleUser"]
    return Credentials(
        issued["AccessKeyId"],
        issued["SecretAccessKey"],
        issued["SessionToken"],
        user["Arn"],
        user["AssumedRoleId"],
    )


def _user(iam, name):
    user = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(
        key["AccessKeyId"], key["SecretAccessKey"], arn=user["Arn"], user_id=user["UserId"]
    )


def _secret(secretsmanager):
    return secretsmanager.create_secret(Name="sentinel/mdm-token", SecretString=MDM_TOKEN)["ARN"]


def _may_read(iam, secret_arn):
    read = _allow(["secretsmanager:GetSecretValue"], Resource=secret_arn)
    iam.put_role_policy(RoleName=FUNCTION_ROLE, PolicyName="read-mdm-token", PolicyDocument=read)


def _grants(dynamodb):
    """The table of requests and approvals, as in template.yaml."""
    dynamodb.create_table(
        TableName=GRANTS,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in (("PK", "S"), ("Kind", "S"), ("CreatedAt", "N"))],
        GlobalSecondaryIndexes=[{
            "IndexName": "ByTime",
            "KeySchema": [{"AttributeName": "Kind", "KeyType": "HASH"}, {"AttributeName": "CreatedAt", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
        BillingMode="PAY_PER_REQUEST",
    )


def _table(dynamodb):
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.update_time_to_live(
        TableName=TABLE,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "TTL"},
    )
