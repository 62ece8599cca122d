"""What `make demo` shows: an approval, a scope, and a block."""

import json
import re

import pytest
from botocore.exceptions import ClientError
from local.access import demonstrate_approval, demonstrate_block, demonstrate_scope, with_approvals
from local.demo import demonstrate, demonstrate_devices
from local.errors import StackError
from local.ports import Ports
from local.provision import ROOT
from local.stack import REPOSITORY, LocalStack


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The stack of `make demo`: the starter policy, and one profile more."""
    home = tmp_path_factory.mktemp("demo")
    policy = with_approvals(REPOSITORY / "policy", home / "policy")
    with LocalStack(home / "state", Ports.free(), policy=policy) as running:
        yield running


def steps(text):
    """What was done, and what became of it."""
    return [tuple(re.split(r"\s{2,}", line.strip(), maxsplit=1)) for line in text.splitlines() if re.search(r"  \d{3} \S+$", line)]


def test_the_demo_shows_an_approval_a_scope_and_a_block(demo, capsys):
    demonstrate(demo)
    demonstrate_devices(demo)
    capsys.readouterr()
    whole = demonstrate_approval(demo)
    shown = capsys.readouterr().out
    assert steps(shown) == [
        ("alice asks for credentials", "403 POLICY_DENY"),
        ("alice asks what is missing", "200 approval"),
        ("alice requests access: repair the payments queue", "200 pending"),
        ("alice approves her own request", "403 OWN_REQUEST"),
        ("bob approves it", "200 approved"),
        ("alice asks for credentials", "200 OK"),
    ]
    assert "assumed-role/vended-production/alice@example.com-" in shown and "1200 of the 3600 seconds" in shown
    assert f'"by": "{demo.callers["bob"].arn}"' in shown

    iam, sqs = (ROOT.client(service, demo.endpoint) for service in ("iam", "sqs"))
    allow = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}}
    iam.put_role_policy(RoleName="vended-production", PolicyName="queues", PolicyDocument=json.dumps(allow))
    queue = sqs.create_queue(QueueName="payments")["QueueUrl"]
    scoped = demonstrate_scope(demo)
    shown = capsys.readouterr().out
    assert steps(shown) == [("alice asks for the scope `read-only`", "200 OK")]
    assert re.search(r"scope +read-only\n +claimed +\{\"ticket\": \"OPS-4711\", \"agent\": \"coding-agent\"\}\n +session_policy +\{.*sqs:List", shown)
    assert scoped.client("sqs", demo.endpoint).list_queues()["QueueUrls"] == [queue]
    with pytest.raises(ClientError, match="AccessDenied"):
        scoped.client("sqs", demo.endpoint).delete_queue(QueueUrl=queue)
    whole.client("sqs", demo.endpoint).delete_queue(QueueUrl=queue)

    demonstrate_block(demo)
    shown = capsys.readouterr().out
    assert steps(shown) == [("alice asks for credentials", "403 CALLER_BLOCKED"), ("bob lists the requests", "200 OK")]
    assert [line.split()[-2:] for line in shown.splitlines() if "WHO=" in line] == [["scripts/block.py", "on"], ["scripts/block.py", "off"]]


def test_a_demo_that_does_not_show_what_it_says_fails(demo):
    """alice has an approval already, or is still blocked: her first refusal is not the one that the demo explains."""
    with pytest.raises(StackError):
        demonstrate_approval(demo)
