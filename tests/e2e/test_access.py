"""Requests for access and approvals, through the local Function URL, on the emulator's DynamoDB, IAM and STS."""

import json
import os
import subprocess

import pytest
from conftest import REPOSITORY
from local import client
from local.audit import audit_line, log_lines
from local.ports import Ports
from local.provision import ACCOUNT, REGION
from local.stack import LocalStack

CATALOGUE = f"""
[production]
role_arn = "arn:aws:iam::{ACCOUNT}:role/vended-production"
description = "Somebody else has to approve"

[database]
role_arn = "arn:aws:iam::{ACCOUNT}:role/vended-customer-data"
description = "In an emergency"

[development]
role_arn = "arn:aws:iam::{ACCOUNT}:role/vended-development"
description = "Open to everybody"

[development.scopes.look]
description = "Look, and change nothing"
policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
"""
RULES = """
@id("with-approval")
permit (principal, action == Sentinel::Action::"vend", resource == Sentinel::Profile::"production")
when { context has approval };

@id("open-to-everybody")
permit (principal, action == Sentinel::Action::"vend", resource == Sentinel::Profile::"development");

@id("everybody-approves")
permit (principal, action == Sentinel::Action::"approve", resource == Sentinel::Profile::"production");

@id("everybody-breaks-glass")
permit (principal, action == Sentinel::Action::"break-glass", resource == Sentinel::Profile::"database");

@id("in-an-emergency")
permit (principal, action == Sentinel::Action::"vend", resource == Sentinel::Profile::"database")
when { context has emergency };
"""
VEND = "/v1/credentials?profile=production"
ASK = json.dumps({"profile": "production", "reason": "an outage", "ticket": "OPS-4711", "duration": 1200})


@pytest.fixture(scope="module")
def approving(tmp_path_factory):
    """A stack of its own, with a policy in which everybody may approve."""
    home = tmp_path_factory.mktemp("approving")
    policy = home / "policy"
    policy.mkdir()
    (policy / "profiles.toml").write_text(CATALOGUE, encoding="utf-8")
    (policy / "access.cedar").write_text(RULES, encoding="utf-8")
    with LocalStack(home / "state", Ports.free(), policy=policy) as running:
        yield running


@pytest.fixture
def send(approving):
    def send(who, method, target, body=None):
        headers = {"Content-Type": "application/json"} if body else None
        return client.call(approving.callers[who], method, approving.url + target, body, headers)

    return send


def body(response):
    return json.loads(response.text)


def test_security_access_takes_two_people(approving, send):
    """
    THREAT: somebody gets what needs a second person without one.
    PREVENTION: a request, an approval by somebody else, and only then a session, as long as approved.
    """
    assert body(send("alice", "GET", VEND))["Code"] == "POLICY_DENY"
    assert body(send("alice", "GET", VEND.replace("credentials", "explain")))["missing"] == ["approval"]
    request = body(send("alice", "POST", "/v1/requests", ASK))
    assert (request["state"], request["may"]) == ("pending", ["withdraw"])
    path = f"/v1/requests/{request['id']}"
    assert body(send("alice", "POST", f"{path}/approve"))["Code"] == "OWN_REQUEST"
    assert body(send("alice", "GET", VEND))["Code"] == "POLICY_DENY"

    [seen] = body(send("bob", "GET", "/v1/requests"))["requests"]
    assert (seen["id"], seen["requester"], seen["may"]) == (request["id"], approving.callers["alice"].arn, ["approve", "deny"])
    approved = send("bob", "POST", f"{path}/approve")
    assert (body(approved)["state"], body(approved)["decided_by"]) == ("approved", approving.callers["bob"].arn)
    audit = audit_line(approving.function_log, approved.headers["x-request-id"])
    assert (audit["access"]["action"], audit["rules"]) == ("approve", ["everybody-approves"])
    assert body(send("bob", "POST", f"{path}/approve"))["Code"] == "REQUEST_CLOSED"

    vended = send("alice", "GET", f"{VEND}&duration=3600")
    assert vended.status_code == 200, vended.text
    assert (vended.headers["X-Sentinel-Granted-Seconds"], vended.headers["X-Sentinel-Clamped-By"]) == ("1200", "approval")
    assert "vended-production" in client.identity(client.vended(body(vended)), approving.endpoint)
    audit = audit_line(approving.function_log, vended.headers["x-request-id"])
    assert (audit["approval"]["id"], audit["approval"]["by"]) == (request["id"], approving.callers["bob"].arn)
    assert body(send("bob", "GET", VEND))["Code"] == "POLICY_DENY", "the approval is alice's"
    assert body(send("bob", "POST", f"{path}/deny"))["state"] == "denied", "it takes the approval back"
    assert body(send("alice", "GET", VEND))["Code"] == "POLICY_DENY"


def test_a_request_can_be_taken_back(send):
    request = body(send("bob", "POST", "/v1/requests", ASK))
    assert body(send("bob", "POST", "/v1/requests", ASK))["Code"] == "REQUEST_EXISTS"
    assert body(send("alice", "POST", f"/v1/requests/{request['id']}/withdraw"))["Code"] == "NOT_FOUND"
    assert body(send("bob", "POST", f"/v1/requests/{request['id']}/withdraw"))["state"] == "withdrawn"
    assert body(send("alice", "POST", f"/v1/requests/{request['id']}/approve"))["Code"] == "REQUEST_CLOSED"


def test_security_an_emergency_is_once_a_day_and_leaves_a_trail(approving, send):
    """
    THREAT: somebody takes access alone, in silence or every day.
    PREVENTION: once in 24 hours; the audit line, a metric and the session's tag say so.
    """
    alone = json.dumps({"profile": "database", "reason": "the database is on fire"})
    target = "/v1/credentials?profile=database"
    assert body(send("bob", "GET", target))["Code"] == "POLICY_DENY"
    taken = send("bob", "POST", "/v1/break-glass", alone)
    assert taken.status_code == 200, taken.text
    audit = audit_line(approving.function_log, taken.headers["x-request-id"])
    assert (audit["Emergencies"], audit["emergency"]["reason"]) == (1, "the database is on fire")
    vended = send("bob", "GET", target)
    assert vended.status_code == 200, vended.text
    audit = audit_line(approving.function_log, vended.headers["x-request-id"])
    assert audit["tags"]["SentinelEmergency"] == body(taken)["began_at"]
    again = alone.replace("fire", "fire again")
    assert body(send("bob", "POST", "/v1/break-glass", again))["Code"] == "EMERGENCY_USED"
    assert body(send("alice", "GET", target))["Code"] == "POLICY_DENY", "the emergency is bob's"


@pytest.fixture
def sentinel(approving, tmp_path):
    """Runs `sentinel` as one of the callers."""
    subprocess.run(["cargo", "build", "--locked", "--package", "sentinel"], cwd=REPOSITORY, check=True)
    program = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "sentinel"

    def run(who, *arguments, code=0):
        options = ["--url", approving.url, "--region", REGION, "--aws-profile", who]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env = {**kept, **approving.aws_files, "HOME": str(tmp_path), "AWS_ENDPOINT_URL_STS": approving.endpoint}
        done = subprocess.run([program, *arguments, *options], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_the_client_requests_and_decides(sentinel):
    """Two people with `sentinel`: one asks, the other decides, and the first gets the session."""
    assert "sentinel request production" in sentinel("bob", "explain", "production", code=5).stdout
    assert "run `sentinel request production --reason TEXT`" in sentinel("bob", "credentials", "production", code=5).stderr
    asked = json.loads(sentinel("bob", "request", "production", "--reason", "an outage", "--json").stdout)
    assert "OWN_REQUEST" in sentinel("bob", "approve", asked["id"], code=5).stderr
    assert asked["id"] in sentinel("alice", "requests").stdout
    assert "approved" in sentinel("alice", "approve", asked["id"]).stdout
    assert "REQUEST_CLOSED" in sentinel("alice", "approve", asked["id"], code=5).stderr
    issued = json.loads(sentinel("bob", "credentials", "production", "--no-cache").stdout)
    assert issued["AccessKeyId"].startswith("ASIA")
    alone = ("break-glass", "database", "--reason", "the database is on fire")
    assert "This raises an alarm." in sentinel("alice", *alone).stdout


def test_the_client_asks_for_less_and_says_why(approving, sentinel):
    """The audit line of a session with a scope has the scope, its session policy, and what the caller says."""
    assert sentinel("bob", "profiles").stdout.endswith("Open to everybody\n  --scope look  Look, and change nothing\n")
    said = ("--agent", "coding-agent", "--ticket", "OPS-1", "--reason", "count the orders")
    sentinel("bob", "credentials", "development", "--scope", "look", *said)
    [line] = claimed(approving)
    assert (line["scope"], line["policy_arns"]) == ("look", ["arn:aws:iam::aws:policy/ReadOnlyAccess"])
    assert line["claimed"] == {"reason": "count the orders", "ticket": "OPS-1", "agent": "coding-agent"}
    assert line["tags"]["SentinelAgent"] == "coding-agent"
    sentinel("bob", "credentials", "development", *said)
    assert [line.get("scope") for line in claimed(approving)] == ["look", None], "the cached session with a scope is another one"

    refused = sentinel("bob", "credentials", "development", "--scope", "none", code=5).stderr
    assert "This profile has no such scope" in refused and "sentinel request" not in refused


def claimed(stack):
    """The audit lines of credentials whose caller said what they are for."""
    ask = client.call(stack.callers["alice"], "GET", f"{stack.url}/v1/health")
    audit_line(stack.function_log, ask.headers["x-request-id"])  # those before it are there
    return [line for line in log_lines(stack.function_log) if line.get("claimed") and line.get("issued_access_key_id")]
