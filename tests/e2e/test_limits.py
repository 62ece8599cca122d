"""The rate limits, as callers meet them."""

import os
import re
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
    settings = {"SENTINEL_RATE_LIMIT_REQUESTS": "5", "SENTINEL_RATE_LIMIT_WINDOW": "20"}
    settings |= {"SENTINEL_RATE_LIMIT_READ_REQUESTS": "4", "SENTINEL_RATE_LIMIT_READ_WINDOW": "16"}
    with LocalStack(tmp_path_factory.mktemp("limited") / "state", Ports.free(), settings=settings) as running:
        yield running


def show_limits(stack, *options):
    """What the script prints, with bob's credentials."""
    env = {**os.environ, **stack.aws_files, "AWS_PROFILE": "bob", "AWS_REGION": REGION}
    command = [sys.executable, str(REPOSITORY / "scripts" / "show_limits.py"), stack.url, *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def table(shown):
    """The rows of the script's tables: each is what was sent, expected and seen."""
    rows = [re.split(r" {2,}", line.strip()) for line in shown.stdout.splitlines() if line.startswith("  ")]
    return [tuple(row) for row in rows if len(row) == 3]


def test_the_limits_hold_seen_from_outside(limited):
    shown = show_limits(limited)

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stdout.count("PASS") == 2
    assert table(shown) == [
        ("sent", "expected", "seen"),
        ("5 requests at once", "5 × 400 MISSING_PROFILE, or more", "5 × 400 MISSING_PROFILE"),
        ("1 more", "429 RATE_LIMITED, Retry-After", "429 RATE_LIMITED, Retry-After: 4"),
        ("1 after 4 s", "400 MISSING_PROFILE", "400 MISSING_PROFILE"),
        ("sent", "expected", "seen"),
        ("4 requests at once", "4 × 200, or more", "4 × 200"),
        ("1 more", "429 RATE_LIMITED, Retry-After", "429 RATE_LIMITED, Retry-After: 4"),
        ("1 after 4 s", "200", "200"),
    ]


def test_a_url_without_limits_fails(stack):
    shown = show_limits(stack, "--most", "3")

    assert shown.returncode == 1
    assert shown.stdout.count("FAIL  no 429 in 3 requests") == 2


def test_a_wrong_region_is_not_taken_for_a_missing_limit(stack):
    shown = show_limits(stack, "--region", "eu-north-1")

    assert shown.returncode == 1
    assert shown.stdout.count("the request did not reach the function") == 2
