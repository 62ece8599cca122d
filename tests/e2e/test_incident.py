"""The policies of deploy/examples/incident end sessions."""

import json
import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from local import client
from local.provision import ROOT

INCIDENT = Path(__file__).parents[2] / "deploy" / "examples" / "incident"
ROLE = "vended-development"
WORK = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}}


@pytest.fixture
def iam(stack):
    """The protected role may list tables, and is left as it was."""
    iam = ROOT.client("iam", stack.endpoint)
    iam.put_role_policy(RoleName=ROLE, PolicyName="work", PolicyDocument=json.dumps(WORK))
    yield iam
    for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ROLE, PolicyName=name)


@pytest.fixture
def vend(stack, call):
    """Vends, and gives what was vended: its request's id, and a function that uses it."""

    def vended():
        response = call("GET", "/v1/credentials?profile=development")
        credentials = client.vended(json.loads(response.text))
        return response.headers["x-request-id"], lambda: credentials.client("dynamodb", stack.endpoint).list_tables()

    return vended


def is_denied(use):
    try:
        use()
    except ClientError as error:
        return "explicit deny" in str(error)
    return False


def test_security_one_session_is_ended_and_others_go_on(iam, vend):
    """
    THREAT: vended credentials are misused, and nobody can take them back.
    PREVENTION: a Deny by the tag that names the request ends that session at once, and only that.
    """
    request_id, use = vend()
    _, other = vend()
    assert not is_denied(use)
    document = (INCIDENT / "revoke-session.json").read_text()
    iam.put_role_policy(RoleName=ROLE, PolicyName="end", PolicyDocument=re.sub(r"[0-9a-f-]{36}", request_id, document))
    assert is_denied(use)
    assert not is_denied(other)


def test_security_all_sessions_issued_so_far_are_ended(iam, vend):
    """
    THREAT: it is not known which of many credentials are misused.
    PREVENTION: a Deny by the time at which they were issued.
    """
    _, use = vend()
    document = (INCIDENT / "revoke-all.json").read_text()
    iam.put_role_policy(RoleName=ROLE, PolicyName="end", PolicyDocument=document)
    assert not is_denied(use), "the example's time is long past"
    later = re.sub(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", "2099-01-01T00:00:00Z", document)
    iam.put_role_policy(RoleName=ROLE, PolicyName="end", PolicyDocument=later)
    assert is_denied(use)
