"""One local stack for all tests, on free ports, so that it can run beside `make run`."""

import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))

from local import client  # noqa: E402
from local.environment import isolate  # noqa: E402
from local.ports import Ports  # noqa: E402
from local.provision import ACCOUNT, POLICY_PARAMETER, ROOT, protected_role  # noqa: E402
from local.stack import LocalStack  # noqa: E402

UNTRUSTED = f"""
[untrusted]
role_arn = "arn:aws:iam::{ACCOUNT}:role/vended-untrusted"
description = "A role that does not trust the function"
groups = ["development"]
tags = {{ Who = "<<caller.name>>" }}
"""


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """The running stack, with the starter policy in Parameter Store, and one more profile: `untrusted`."""
    isolate("SENTINEL_", "MDM_")
    home = tmp_path_factory.mktemp("stack")
    policy = home / "policy"
    shutil.copytree(REPOSITORY / "policy", policy)
    with open(policy / "profiles.toml", "a", encoding="utf-8") as catalogue:
        catalogue.write(UNTRUSTED)
    settings = {
        # Every look-up of a device reaches the stand-in for Jamf.
        "SENTINEL_MDM_POSTURE_TTL": "0",
        "SENTINEL_POLICY_PARAMETER": POLICY_PARAMETER,
        "SENTINEL_POLICY_TTL": "1",
    }
    with LocalStack(home / "state", Ports.free(), policy=policy, settings=settings) as running:
        iam = ROOT.client("iam", running.endpoint)
        protected_role(iam, "vended-untrusted", running.callers["bob"].arn)
        yield running


@pytest.fixture
def call(stack):
    """Sends a request that alice, or another caller, has signed."""

    def send(method, target, body=None, headers=None, caller="alice"):
        return client.call(stack.callers[caller], method, stack.url + target, body, headers)

    return send


@pytest.fixture
def policy(stack, tmp_path):
    """A copy of the bundle in force, to change; what is pushed of it is taken back afterwards."""
    changed = tmp_path / "policy"
    shutil.copytree(stack.policy, changed)
    yield changed
    stack.push_policy(stack.policy)


def pytest_collection_modifyitems(items):
    """What looks at the whole run comes last."""
    items.sort(key=lambda item: item.path.name == "test_audit.py")
