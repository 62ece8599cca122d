"""`make block` refuses a caller's next request, shows the sessions that the caller may still hold, and `make unblock` takes it off."""

import io
import json
import os
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta, timezone

import block
import pytest
from local import client
from local.audit import audit_line
from local.ports import Ports
from local.provision import REGION, ROOT, TABLE
from local.stack import REPOSITORY, LocalStack

VEND = "/v1/credentials?profile=development"
FUNCTION = "sentinel-tvm"
LOG_GROUP = f"/aws/lambda/{FUNCTION}"
ROLE = "vended-development"
REASON = "key leaked, ticket 4711"


def run(stack, *arguments, **settings):
    keys = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
    env = {**os.environ, **keys, "AWS_ENDPOINT_URL": stack.endpoint, "AWS_REGION": REGION, **settings}
    command = [sys.executable, str(REPOSITORY / "scripts" / "block.py"), *arguments]
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Another stack: its function remembers blocks of alice, whom other tests need."""
    with LocalStack(tmp_path_factory.mktemp("blocked") / "state", Ports.free()) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def vended(stack):
    """What alice got before anybody blocked her."""
    return client.call(stack.callers["alice"], "GET", stack.url + VEND)


@pytest.fixture
def dynamodb(stack):
    return ROOT.client("dynamodb", stack.endpoint)


@pytest.fixture
def alice(stack, dynamodb):
    """Alice's principal. No block outlives the test."""
    arn = stack.callers["alice"].arn
    yield arn
    for tier in block.TIERS:
        dynamodb.delete_item(TableName=TABLE, Key=block.key(tier, arn))


@pytest.fixture
def deployed(stack):
    """The function's settings and its log, as they would be in an account. Gives a way to log audit lines."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("bootstrap", "")
    functions, logs = ROOT.client("lambda", stack.endpoint), ROOT.client("logs", stack.endpoint)
    functions.create_function(
        FunctionName=FUNCTION, Runtime="provided.al2023", Handler="bootstrap", Role="arn:aws:iam::123456789012:role/sentinel-tvm-function",
        Code={"ZipFile": code.getvalue()}, Environment={"Variables": {"SENTINEL_RATE_LIMIT_TABLE": TABLE}},
    )
    logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName="an-instance")

    def log(*lines):
        now = int(datetime.now(timezone.utc).timestamp() * 1000)
        events = [{"timestamp": now, "message": line if isinstance(line, str) else json.dumps(line)} for line in lines]
        logs.put_log_events(logGroupName=LOG_GROUP, logStreamName="an-instance", logEvents=events)

    yield log
    functions.delete_function(FunctionName=FUNCTION)
    logs.delete_log_group(logGroupName=LOG_GROUP)


def code(response):
    return response.status_code, json.loads(response.text).get("Code")


def test_security_a_blocked_caller_is_refused_by_the_next_request(stack, vended, call, alice, dynamodb):
    """
    THREAT: a caller must be cut off now, and other ways take minutes: a policy's TTL, the end of a session.
    PREVENTION: one command. The next request is refused, on every path but health, and no AWS call is made for it but the limiter's write.
    """
    assert vended.status_code == 200
    result = run(stack, "on", WHO=alice, FOR="8h", REASON=REASON, TABLE=TABLE, YES="1")
    assert result.returncode == 0, result.stderr
    for target in (VEND, "/v1/explain?profile=development", "/v1/profiles", "/nowhere"):
        assert code(call("GET", target)) == (403, "CALLER_BLOCKED"), target
    assert call("GET", "/v1/health").status_code == 200, "it asks nothing of the table, and names no caller"
    assert call("GET", "/v1/profiles", caller="bob").status_code == 200, "nobody else is blocked"

    refused = call("GET", VEND)
    assert REASON not in refused.text
    audit = audit_line(stack.function_log, refused.headers["x-request-id"])
    assert (audit["code"], audit["detail"]) == ("CALLER_BLOCKED", "the principal is blocked")
    assert audit["rate_limit"] == {"decided_by": "mirror", "writes": 0, "blocked_until": audit["rate_limit"]["blocked_until"]}

    item = dynamodb.get_item(TableName=TABLE, Key=block.key("vend", alice))["Item"]
    assert item["BlockedReason"]["S"] == REASON and item["BlockedBy"]["S"].startswith("arn:aws:")
    assert int(item["TTL"]["N"]) > int(item["Blocked"]["N"]) / 1e6, "DynamoDB deletes no block before its end"

    shown = run(stack, "off", WHO=alice, TABLE=TABLE, YES="1")
    assert shown.returncode == 0 and REASON in shown.stdout
    item = dynamodb.get_item(TableName=TABLE, Key=block.key("vend", alice))["Item"]
    assert item.keys() == {"PK", "TAT", "TTL"}
    assert run(stack, "off", WHO=alice, TABLE=TABLE, YES="1").returncode != 0, "there is nothing to take off"


def test_a_block_without_an_end_is_never_deleted(stack, alice, dynamodb):
    assert run(stack, "on", WHO=alice, REASON=REASON, TABLE=TABLE, YES="1").returncode == 0
    for tier in block.TIERS:
        item = dynamodb.get_item(TableName=TABLE, Key=block.key(tier, alice))["Item"]
        assert item["Blocked"]["N"] == "253402300799000000" and "TTL" not in item


def test_security_nobody_shortens_a_block_by_accident(stack, alice, dynamodb):
    """
    THREAT: a second responder blocks the same caller for a shorter time, and the caller comes back early.
    PREVENTION: a block moves to a later end only, by a conditional write.
    """
    def end():
        return int(dynamodb.get_item(TableName=TABLE, Key=block.key("vend", alice))["Item"]["Blocked"]["N"])

    settings = {"WHO": alice, "REASON": REASON, "TABLE": TABLE, "YES": "1"}
    assert run(stack, "on", FOR="8h", **settings).returncode == 0
    first = end()
    shorter = run(stack, "on", FOR="1h", **settings)
    assert shorter.returncode != 0 and "ends later: it stays" in shorter.stderr
    assert end() == first
    assert run(stack, "on", FOR="9h", **settings).returncode == 0
    assert end() > first


def test_sessions_that_the_caller_may_still_hold_are_listed(stack, vended, alice, deployed):
    """From the audit trail: those of this caller, that have not expired, with the command that ends them."""
    line = audit_line(stack.function_log, vended.headers["x-request-id"])
    expired = line | {"request_id": "expired", "expiration": "2026-03-04T11:00:00Z"}
    deployed("INIT_START", line, expired, line | {"principal": "arn:aws:iam::123456789012:user/bob", "request_id": "of-bob"})

    shown = run(stack, "on", WHO=alice, FOR="30m", REASON=REASON, YES="1")
    assert shown.returncode == 0, shown.stderr
    assert f"{line['expiration']}  arn:aws:iam::123456789012:role/{ROLE}  request {line['request_id']}" in shown.stdout
    assert "expired" not in shown.stdout and "of-bob" not in shown.stdout
    [command] = [text.strip() for text in shown.stdout.splitlines() if "make revoke" in text]
    assert command == f'make revoke WHO=sentinel-alice@example.com BEFORE=now+5m ROLES="{ROLE}"'


def test_a_caller_whom_the_trail_does_not_know_is_pointed_out(stack, deployed, dynamodb):
    who = "arn:aws:iam::123456789012:user/alise"
    shown = run(stack, "on", WHO=who, FOR="1m", REASON=REASON, YES="1")
    assert shown.returncode == 0 and f"No audit line of the last hour has the principal {who}" in shown.stdout
    for tier in block.TIERS:
        dynamodb.delete_item(TableName=TABLE, Key=block.key(tier, who))


def test_security_other_principals_of_the_person_are_listed(stack, vended, alice, deployed, dynamodb):
    """
    THREAT: a blocked person comes back with another permission set, which is another principal.
    PREVENTION: the command lists the principals that the audit lines have for the person, by SourceIdentity and by name.
    """
    line = audit_line(stack.function_log, vended.headers["x-request-id"])
    name = alice.rsplit("/", 1)[1]
    other = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Operator_0123456789abcdef"
    refused = {"type": "audit", "principal": f"{other}/{name.upper()}", "code": "POLICY_DENY"}
    stranger = refused | {"principal": f"{other}/b{name}"}
    deployed(line, line | {"principal": f"{other}/somebody"}, refused | {"principal": f"{other}/{name}"}, stranger)
    shown = run(stack, "on", WHO=alice, FOR="30m", REASON=REASON, YES="1")
    assert shown.returncode == 0, shown.stderr
    listed = shown.stdout.split("These may be the same person:\n")[1].split("--")[0].split()
    assert listed == [f"{other}/{name}", f"{other}/somebody"]
    assert "Item" not in dynamodb.get_item(TableName=TABLE, Key=block.key("vend", listed[0])), "YES=1 does not block them"


def test_security_a_block_goes_to_the_table_of_the_version_that_callers_get(stack, alice, deployed, dynamodb):
    """
    THREAT: after a rollback, callers get a version with another table. The block goes to the table of the newest settings, the
    command says "blocked", and nobody is refused.
    PREVENTION: the command reads the settings of the alias.
    """
    functions = ROOT.client("lambda", stack.endpoint)
    version = functions.publish_version(FunctionName=FUNCTION)["Version"]
    functions.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion=version)
    functions.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": {"SENTINEL_RATE_LIMIT_TABLE": "another"}})
    shown = run(stack, "on", WHO=alice, FOR="30m", REASON=REASON, YES="1")
    assert shown.returncode == 0, shown.stderr
    assert "Blocked" in dynamodb.get_item(TableName=TABLE, Key=block.key("vend", alice))["Item"]
    functions.delete_alias(FunctionName=FUNCTION, Name="live")


PERSON = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef"
PIPELINE = "arn:aws:sts::123456789012:assumed-role/ci-runner"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"WHO": "alice", "REASON": REASON}, "is not a principal"),
        ({"WHO": "", "REASON": REASON}, "is not a principal"),
        ({"WHO": "arn:aws:iam::123456789012:role/ci-runner", "REASON": REASON}, "A role is arn:aws:sts"),
        ({"WHO": PERSON, "REASON": REASON}, "each session name is a principal"),
        ({"WHO": f"{PIPELINE}/job-7", "REASON": REASON}, f"Give WHO={PIPELINE};"),
        ({"WHO": f"{PERSON.replace('123456789012', '210987654321')}/alice", "REASON": REASON}, "the principal is the role"),
        ({"WHO": f"{PIPELINE}"}, "REASON is missing"),
        ({"WHO": f"{PIPELINE}", "REASON": "a\nb"}, "control characters"),
        ({"WHO": f"{PIPELINE}", "REASON": "é" * 200}, "longer than 256 bytes"),
        ({"WHO": f"{PIPELINE}", "REASON": REASON, "FOR": "8"}, "is not a number of minutes"),
        ({"WHO": f"{PIPELINE}", "REASON": REASON, "FOR": "0h"}, "is not a number of minutes"),
        ({"WHO": f"{PIPELINE}", "REASON": REASON, "FUNCTION_NAME": "no-such-function"}, "There is no function"),
        ({"WHO": f"{PIPELINE}", "REASON": REASON, "YES": ""}, "Give YES=1"),
    ],
)
def test_security_a_block_that_would_refuse_nobody_is_an_error(stack, deployed, dynamodb, settings, why):
    """
    THREAT: a block of a misspelt caller looks like a block.
    PREVENTION: the command checks WHO against the function's own settings, and changes nothing if it refuses.
    """
    before = dynamodb.scan(TableName=TABLE)["Items"]
    result = run(stack, "on", **{"YES": "1", **settings})
    assert result.returncode != 0
    assert why in result.stderr
    assert dynamodb.scan(TableName=TABLE)["Items"] == before


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "has no rate-limit table"),
        ({"SENTINEL_RATE_LIMIT_TABLE": TABLE, "SENTINEL_RATE_LIMIT_REQUESTS": "0"}, "limit of credentials is off"),
    ],
)
def test_a_function_that_sees_no_block_is_pointed_out(stack, deployed, variables, why):
    ROOT.client("lambda", stack.endpoint).update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": variables})
    result = run(stack, "on", WHO=PIPELINE, REASON=REASON, YES="1")
    assert result.returncode != 0 and why in result.stderr and "Use a `forbid`" in result.stderr


def test_a_block_is_kept_longer_than_a_budget():
    now = datetime(2026, 3, 4, 10, 0, tzinfo=timezone.utc)
    made = block.block_of({"REASON": REASON, "FOR": "7d"}, now)
    assert made["until"] == now + timedelta(days=7)
    assert block.block_of({"REASON": REASON, "FOR": ""}, now)["until"] == block.NEVER
