"""The policies of deploy/examples/incident end sessions, and so does `make revoke`, which writes them."""

import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
import revoke
from botocore.exceptions import ClientError
from local import client
from local.provision import REGION, ROOT
from local.stack import REPOSITORY

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


@pytest.fixture
def run(stack):
    """Runs scripts/revoke.py with the given settings."""

    def run(*arguments, **settings):
        keys = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
        env = {**os.environ, **keys, "AWS_ENDPOINT_URL": stack.endpoint, "AWS_REGION": REGION, **settings}
        command = [sys.executable, str(REPOSITORY / "scripts" / "revoke.py"), *arguments]
        return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    return run


def policies(iam):
    names = iam.list_role_policies(RoleName=ROLE)["PolicyNames"]
    return {name: iam.get_role_policy(RoleName=ROLE, PolicyName=name)["PolicyDocument"] for name in names if name != "work"}


ALICE = {"WHO": "sentinel-alice@example.com", "ROLES": ROLE, "YES": "1"}
NAME = "end-sessions-sentinel-alice@example.com"


def test_security_the_caller_and_the_time_of_a_revocation_are_those_that_were_given(iam, run):
    """
    THREAT: a responder applies the example as it is. It names nobody, and the sessions go on.
    PREVENTION: the command writes caller and time itself, shows the policy, and takes it off again.
    """
    result = run("end", BEFORE="2099-01-01T00:00:00Z", **ALICE)

    assert result.returncode == 0, result.stderr
    expected = json.loads((INCIDENT / "revoke-caller.json").read_text())
    expected["Statement"][0]["Condition"] = {
        "StringEquals": {"aws:SourceIdentity": "sentinel-alice@example.com"},
        "DateLessThan": {"aws:TokenIssueTime": "2099-01-01T00:00:00Z"},
    }
    assert policies(iam) == {NAME: expected}
    assert json.dumps(expected, indent=2) in result.stdout

    assert run("undo", **ALICE).returncode == 0
    assert policies(iam) == {}
    assert "has no policy" in run("undo", **ALICE).stdout


def test_security_a_session_is_ended_by_the_id_of_its_request(iam, run, vend):
    """
    THREAT: ending one session by hand takes a file, an editor and a command, at night.
    PREVENTION: one command, and one to undo it. The emulator evaluates both.
    """
    request_id, use = vend()
    _, other = vend()
    settings = {"REQUEST": request_id, "ROLES": ROLE, "YES": "1"}
    assert run("end", **settings).returncode == 0
    assert is_denied(use) and not is_denied(other)
    assert run("undo", **settings).returncode == 0
    assert not is_denied(use)


def test_everybodys_sessions_end_before_the_time(iam, run, vend):
    _, use = vend()
    settings = {"WHO": "everybody", "ROLES": ROLE, "YES": "1"}
    assert run("end", BEFORE="now+5m", **settings).returncode == 0
    assert is_denied(use)
    assert run("undo", **settings).returncode == 0
    assert not is_denied(use)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"ROLES": ROLE, "BEFORE": "now"}, "Give either WHO"),
        ({"WHO": "sentinel-alice", "ROLES": ROLE}, "BEFORE is missing"),
        ({"WHO": "sentinel-alice", "BEFORE": "now"}, "ROLES is missing"),
        ({"WHO": "alice@example.com", "BEFORE": "now", "ROLES": ROLE}, "begins with `sentinel-`"),
        ({"WHO": "sentinel-*", "BEFORE": "now", "ROLES": ROLE}, "is not a source_identity"),
        ({"WHO": "sentinel-alice", "BEFORE": "11:00", "ROLES": ROLE}, "BEFORE=11:00 is not"),
        ({"WHO": "sentinel-alice", "BEFORE": "2026-03-04T11:00:00Z", "ROLES": ROLE}, "more than an hour ago"),
        ({"WHO": "sentinel-alice", "BEFORE": "now", "ROLES": f"{ROLE} no-such-role"}, "There is no role no-such-role"),
        ({"REQUEST": "abc", "ROLES": ROLE}, "is not a request id"),
    ],
)
def test_a_revocation_that_would_end_nothing_is_refused(iam, run, settings, why):
    result = run("end", YES="1", **settings)
    assert result.returncode != 0
    assert why in result.stderr
    assert policies(iam) == {}


def test_nothing_is_applied_without_an_answer(iam, run):
    result = run("end", BEFORE="now", **{**ALICE, "YES": ""})
    assert result.returncode != 0
    assert '"aws:SourceIdentity": "sentinel-alice@example.com"' in result.stdout, "the policy is shown all the same"
    assert "Give YES=1" in result.stderr
    assert policies(iam) == {}


def test_security_a_second_revocation_brings_no_session_back(iam, run):
    """
    THREAT: two responders revoke the same caller, the second with an earlier time: sessions that had ended work again.
    PREVENTION: the same policy may only move to a later time. Two callers have two policies.
    """
    assert run("end", BEFORE="2099-01-01T00:00:00Z", **ALICE).returncode == 0
    earlier = run("end", BEFORE="2098-01-01T00:00:00Z", **ALICE)
    assert earlier.returncode != 0 and "would bring some" in earlier.stderr
    assert run("end", BEFORE="now", **{**ALICE, "WHO": "sentinel-ci"}).returncode == 0
    assert policies(iam).keys() == {NAME, "end-sessions-sentinel-ci"}


def test_times_relative_to_now_are_in_iams_form():
    now = datetime(2026, 3, 4, 10, 58, tzinfo=timezone.utc)
    assert revoke.point_in_time("now+5m", now) == "2026-03-04T11:03:00Z"
    assert revoke.point_in_time("now", now) == "2026-03-04T10:58:00Z"
