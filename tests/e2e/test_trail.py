"""What is left in the logs, and what is not."""

import json

from local import client
from local.audit import audit_line, audit_lines

VEND = "/v1/credentials?profile=development"


def test_the_session_bears_the_name_of_who_signed(stack, call):
    response = call("GET", VEND)

    audit = audit_line(stack.function_log, response.headers["x-request-id"])
    assert audit["caller_arn"] == stack.callers["alice"].arn
    assert audit["source_identity"] == "sentinel-alice@example.com"
    assert audit["session_name"].startswith("alice@example.com-")
    issued = client.vended(json.loads(response.text))
    assert audit["issued_access_key_id"] == issued.access_key_id
    assert client.identity(issued, stack.endpoint).endswith(f"/{audit['session_name']}")


def test_every_request_leaves_one_audit_line_whatever_its_outcome(stack, call):
    targets = [VEND, "/v1/profiles", "/v1/health", "/v1/credentials?profile=", "/nowhere"]
    responses = [call("GET", target) for target in targets] + [call("GET", VEND, caller="bob")]

    for response in responses:
        [audit] = audit_lines(stack.function_log, response.headers["x-request-id"])
        assert audit["status"] == response.status_code


def test_no_log_holds_a_secret(stack, call):
    issued = client.vended(json.loads(call("GET", VEND).text))
    call("GET", "/v1/credentials?profile=untrusted")

    logs = {path.name: path.read_text(errors="replace") for path in stack.state.glob("*.log")}
    assert logs.keys() == {"emulator.log", "function.log", "url.log"}
    for holder in [issued, stack.provisioned.function, *stack.callers.values()]:
        for secret in filter(None, [holder.secret_access_key, holder.session_token]):
            for name, text in logs.items():
                assert secret not in text, f"a secret of {holder!r} is in {name}"
