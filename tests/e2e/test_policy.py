"""The policy in Parameter Store: changed, broken and mended while the function runs."""

import json
import time

import pytest
from local.audit import audit_line, log_lines
from local.demo import print_commands
from local.provision import POLICY_PARAMETER, ROOT

VEND = "/v1/credentials?profile=development"
CLOSED = """
@id("closed-for-the-test")
@reason("Development is closed for the test.")
forbid (principal, action == Sentinel::Action::"vend", resource in Sentinel::ProfileGroup::"development");
"""


def eventually(holds, seconds=10):
    """Waits until `holds` gives something: the TTL is a second, and a reload that failed is tried again after another."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    pytest.fail("it did not come about in time")


def health(call):
    return json.loads(call("GET", "/v1/health").text)["policy"]


def test_a_change_decides_without_a_restart(stack, call, policy):
    before = call("GET", VEND)
    assert before.status_code == 200
    with open(policy / "access.cedar", "a", encoding="utf-8") as rules:
        rules.write(CLOSED)
    # Else the check before the push would say that developers may develop.
    (policy / "tests.toml").unlink()

    assert "changed /sentinel/policy/policies/access" in stack.push_policy(policy)
    refused = eventually(lambda: (answer := call("GET", VEND)).status_code == 403 and answer)
    assert json.loads(refused.text)["Message"] == "Development is closed for the test."
    stack.push_policy(stack.policy)
    allowed = eventually(lambda: (answer := call("GET", VEND)).status_code == 200 and answer)

    digests = [audit_line(stack.function_log, answer.headers["x-request-id"])["policy_digest"] for answer in (before, refused, allowed)]
    assert digests[0] == digests[2] != digests[1]


def test_a_broken_bundle_leaves_the_last_good_one_in_force(stack, call, policy):
    good = health(call)
    assert (good["source"], good["stale"]) == ("ssm", False)

    ssm = ROOT.client("ssm", stack.endpoint)
    ssm.put_parameter(Name=f"{POLICY_PARAMETER}/policies/access", Value="permit (principal", Overwrite=True)
    stale = eventually(lambda: (found := health(call))["stale"] and found)
    assert stale["age_seconds"] >= 1
    assert stale["digest"] == good["digest"]
    assert call("GET", VEND).status_code == 200
    [warning, *_] = [line for line in log_lines(stack.function_log) if "could not be reloaded" in line.get("message", "")]
    assert warning["level"] == "WARN"
    assert "digest" in warning["error"]

    stack.push_policy(stack.policy)
    eventually(lambda: not health(call)["stale"])


def test_a_bundle_that_does_not_hold_what_is_expected_is_not_pushed(stack, call, policy):
    (policy / "access.cedar").write_text(CLOSED)
    with pytest.raises(Exception, match="could not be pushed"):
        stack.push_policy(policy)
    assert call("GET", VEND).status_code == 200


def test_with_parameter_store_the_directory_is_not_promised_to_matter(stack, capsys):
    print_commands(stack)
    shown = capsys.readouterr().out
    assert f"AWS_PROFILE=root make policy-push PARAMETER={POLICY_PARAMETER}" in shown
    assert "policy/ or src/" not in shown
