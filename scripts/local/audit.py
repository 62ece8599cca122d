"""Reads the function's log: one JSON object per line."""

import json
import time

from local.errors import StackError


def log_lines(log):
    """All JSON lines of the log file. Skips the output of the compiler and of cargo lambda."""
    with open(log, encoding="utf-8", errors="replace") as lines:
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]


def audit_lines(log, request_id):
    """The audit lines of one request."""
    lines = log_lines(log)
    return [line for line in lines if line.get("type") == "audit" and line["request_id"] == request_id]


def audit_line(log, request_id, seconds=5):
    """The audit line of one request. Waits a moment, until the file has it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in audit_lines(log, request_id):
            return line
        time.sleep(0.05)
    raise StackError(f"{log} has no audit line for request {request_id}: report this, with that log")
