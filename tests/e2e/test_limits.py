"""The rate limits, as callers meet them."""

import os
import re
import subprocess
import sys

import pytest

from conftest import REPOSITORY
from local import client
from local.ports import Ports
from local.provision import REGION, ROOT, TABLE
from local.stack import LocalStack


@pytest.fixture(scope="module")
def limited(tmp_path_factory, stack):
    """Another stack, with a small quota for each tier."""
    settings = {"SENTINEL_RATE_LIMIT_REQUESTS": "5", "SENTINEL_RATE_LIMIT_WINDOW": "20"}
    settings |= {"SENTINEL_RATE_LIMIT_READ_REQUESTS": "4", "SENTINEL_RATE_LIMIT_READ_WINDOW": "16"}
    with LocalStack(tmp_path_factory.mktemp("limited") / "state", Ports.free(), settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def limited_by_day(tmp_path_factory, stack):
    """Another stack, with a limit for the day that is far below the short one."""
    settings = {"SENTINEL_RATE_LIMIT_REQUESTS": "50", "SENTINEL_RATE_LIMIT_DAY_REQUESTS": "3"}
    settings |= {"SENTINEL_RATE_LIMIT_READ_REQUESTS": "4", "SENTINEL_RATE_LIMIT_READ_WINDOW": "16"}
    with LocalStack(tmp_path_factory.mktemp("by-day") / "state", Ports.free(), settings=settings) as running:
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
    assert shown.stdout.count("PASS") == 3
    assert table(shown) == [
        ("sent", "expected", "seen"),
        ("5 requests at once", "5 × 400 MISSING_PROFILE, or more", "5 × 400 MISSING_PROFILE"),
        ("1 more", "429 RATE_LIMITED, Retry-After", "429 RATE_LIMITED, Retry-After: 4"),
        ("meanwhile /v1/profiles", "200", "200"),
        ("meanwhile /v1/health", "200", "200"),
        ("1 after 4 s", "400 MISSING_PROFILE", "400 MISSING_PROFILE"),
        ("sent", "expected", "seen"),
        ("4 requests at once", "4 × 200, or more", "4 × 200"),
        ("1 more", "429 RATE_LIMITED, Retry-After", "429 RATE_LIMITED, Retry-After: 4"),
        ("meanwhile /v1/health", "200", "200"),
        ("1 after 4 s", "200", "200"),
        ("sent", "expected", "seen"),
        ("1 request, as all others", "200, storage healthy", "200, storage healthy"),
    ]
    assert "/v1/credentials is charged to vend" in shown.stdout and "/v1/health is charged to health" in shown.stdout


def test_a_limit_for_the_day_holds_beside_the_short_one(limited_by_day):
    """The day's budget is in the table: another start of the function continues it."""
    dynamodb = ROOT.client("dynamodb", limited_by_day.endpoint)
    bob = limited_by_day.callers["bob"]

    def ask():
        return client.call(bob, "GET", f"{limited_by_day.url}/v1/credentials")

    replies = [ask() for _ in range(4)]
    assert [reply.status_code for reply in replies] == [400, 400, 400, 429]
    assert replies[0].headers["RateLimit-Policy"] == '"vend";q=50;w=60, "vend-day";q=3;w=86400'
    assert replies[0].headers["RateLimit"].endswith('"vend-day";r=2;t=28800')
    assert 28_700 < int(replies[3].headers["Retry-After"]) <= 28_800
    item = dynamodb.get_item(TableName=TABLE, Key={"PK": {"S": f"RL#vend#{bob.arn}"}})["Item"]
    assert set(item) == {"PK", "TAT", "DayTAT", "TTL"}
    assert int(item["TTL"]["N"]) > int(item["DayTAT"]["N"]) / 1e6
    shown = show_limits(limited_by_day)
    assert "meanwhile /v1/health" in shown.stdout and "are too long to wait" in shown.stdout


def test_a_url_without_limits_fails(stack):
    shown = show_limits(stack, "--most", "3")

    assert shown.returncode == 1
    assert shown.stdout.count("FAIL  no 429 in 3 requests") == 2


def test_a_wrong_region_is_not_taken_for_a_missing_limit(stack):
    shown = show_limits(stack, "--region", "eu-north-1")

    assert shown.returncode == 1
    assert shown.stdout.count("the request did not reach the function") == 3
