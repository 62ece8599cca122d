"""The rate limits, as callers meet them."""

import os
import subprocess
import sys

import pytest

from conftest import REPOSITORY
from local.ports import Ports
from local.provision import REGION
from local.stack import LocalStack


@pytest.fixture(scope="module")
def limited(tmp_path_factory, stack):
    """Another stack, with a small quota for each tier."""
    settings = {"SENTINEL_RATE_LIMIT_REQUESTS": "5", "SENTINEL_RATE_LIMIT_WINDOW": "10"}
    settings |= {"SENTINEL_RATE_LIMIT_READ_REQUESTS": "4", "SENTINEL_RATE_LIMIT_READ_WINDOW": "8"}
    with LocalStack(tmp_path_factory.mktemp("limited") / "state", Ports.free(), settings=settings) as running:
        yield running


def test_the_limits_hold_and_are_told_from_outside(limited):
    env = {**os.environ, **limited.aws_files, "AWS_PROFILE": "bob", "AWS_DEFAULT_REGION": REGION}
    command = [sys.executable, str(REPOSITORY / "scripts" / "show_limits.py"), limited.url]

    shown = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stdout.count("PASS") == 2
    assert shown.stdout.count("Retry-After: ") == 2


def test_a_url_without_limits_is_told(stack):
    env = {**os.environ, **stack.aws_files, "AWS_PROFILE": "bob", "AWS_DEFAULT_REGION": REGION}
    command = [sys.executable, str(REPOSITORY / "scripts" / "show_limits.py"), stack.url, "--most", "3"]

    shown = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    assert shown.returncode == 1
    assert shown.stdout.count("FAIL  no 429 in 3 requests") == 2
