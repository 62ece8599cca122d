"""Every audit line that the other tests have left, and every log. Runs last: see conftest.py."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from local.audit import log_lines
from local.provision import MDM_TOKEN

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "audit.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lines(stack):
    """The audit lines of the whole run."""
    return [line for line in log_lines(stack.function_log) if line.get("type") == "audit"]


def test_every_line_is_as_its_schema_says(lines):
    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    problems = [f"{line['request_id']}: {error.json_path}: {error.message}" for line in lines for error in validator.iter_errors(line)]
    assert len(lines) >= 20, "the tests before this one leave lines"
    assert not problems


def test_every_metric_and_dimension_has_a_value(lines):
    for line in lines:
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert all(isinstance(line[metric["Name"]], (int, float)) for metric in directive["Metrics"])
            assert all(isinstance(line[name], str) for names in directive["Dimensions"] for name in names)


def test_the_run_has_shown_most_outcomes(lines):
    """So that the two tests above have looked at more than one kind of line."""
    codes = {line["code"] for line in lines}
    assert {"OK", "POLICY_DENY", "CREDENTIAL_ERROR", "INVALID_REQUEST", "NOT_FOUND", "REQUEST_TOO_LARGE"} <= codes


def test_security_no_log_holds_a_secret(stack):
    """
    THREAT: a secret is written to a log, where many may read it and it stays for years.
    PREVENTION: secrets are types that print as [REDACTED]; no line of any program of the stack has one, in the whole run.
    """
    secrets = {MDM_TOKEN: "the MDM token"}
    for holder in [stack.provisioned.function, *stack.callers.values()]:
        secrets |= {secret: repr(holder) for secret in (holder.secret_access_key, holder.session_token) if secret}
    for log in stack.state.glob("*.log"):
        text = log.read_text(errors="replace")
        for secret, whose in secrets.items():
            assert secret not in text, f"a secret of {whose} is in {log.name}"
