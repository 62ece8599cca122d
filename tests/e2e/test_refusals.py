"""Who gets nothing, and what they are told."""

import json
import urllib.error
import urllib.request

import pytest

from local import client
from local.audit import audit_lines, log_lines

VEND = "/v1/credentials?profile=development"
JSON = {"Content-Type": "application/json"}


def assert_error(response, status, code):
    """The three fields of an error, and its request id in the header too."""
    body = json.loads(response.text)
    assert (response.status_code, body.get("Code")) == (status, code), response.text
    assert set(body) == {"Code", "Message", "RequestId"}
    assert body["RequestId"] == response.headers["x-request-id"]


def test_a_caller_whom_no_policy_permits_is_refused(stack, call):
    response = call("GET", VEND, caller="bob")

    assert_error(response, 403, "POLICY_DENY")
    [audit] = audit_lines(stack.function_log, response.headers["x-request-id"])
    assert audit["caller_arn"] == stack.callers["bob"].arn


def test_a_profile_that_does_not_exist_is_refused_like_one_that_is_not_permitted(call):
    refused = json.loads(call("GET", VEND, caller="bob").text)
    unknown = json.loads(call("GET", "/v1/credentials?profile=no-such-profile").text)

    assert (unknown["Code"], unknown["Message"]) == (refused["Code"], refused["Message"])


def test_an_unsigned_request_does_not_reach_the_function(stack):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(stack.url + VEND)

    with refused.value as response:
        assert response.status == 403
        assert json.load(response) == {"Message": "Forbidden"}
        assert not audit_lines(stack.function_log, response.headers["x-amzn-requestid"])


@pytest.mark.parametrize("part", ["method", "url", "body", "token"])
def test_a_request_changed_after_signing_does_not_reach_the_function(stack, part):
    request = client.signed_request(
        stack.callers["alice"], "POST", f"{stack.url}/v1/credentials", b'{"profile":"development"}', JSON
    )
    if part == "method":
        request.method = "PUT"
    elif part == "url":
        request.url += "?profile=production"
    elif part == "body":
        request.body = b'{"profile":"production!"}'
    else:
        request.headers["X-Amz-Security-Token"] = "another"
    response = client.send(request)

    assert response.status_code == 403
    assert json.loads(response.text) == {"Message": "Forbidden"}
    assert not audit_lines(stack.function_log, response.headers["x-amzn-requestid"])


def test_a_role_that_does_not_trust_the_function_is_explained_in_the_log_alone(stack, call):
    response = call("GET", "/v1/credentials?profile=untrusted")

    assert_error(response, 502, "CREDENTIAL_ERROR")
    request_id = response.headers["x-request-id"]
    log = json.dumps([line for line in log_lines(stack.function_log) if line.get("request_id") == request_id])
    for action in ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]:
        assert action in log
        assert action not in response.text
    assert "vended-untrusted" not in response.text


BAD_INPUT = [
    ("GET", "/v1/credentials", None, 400, "MISSING_PROFILE"),
    ("GET", "/v1/credentials?profile=", None, 400, "MISSING_PROFILE"),
    ("GET", "/v1/credentials?profile=a&profile=b", None, 400, "INVALID_REQUEST"),
    ("GET", "/v1/credentials?profile=%C3%A9t%C3%A9", None, 400, "INVALID_PROFILE"),
    ("GET", f"/v1/credentials?profile={'x' * 500}", None, 400, "INVALID_PROFILE"),
    ("GET", f"{VEND}&duration=-1", None, 400, "INVALID_DURATION"),
    ("GET", f"{VEND}&duration=1e3", None, 400, "INVALID_DURATION"),
    ("GET", f"{VEND}&duration=900.5", None, 400, "INVALID_DURATION"),
    ("GET", f"{VEND}&duration=0900", None, 400, "INVALID_DURATION"),
    ("GET", f"{VEND}&duration=99999999999", None, 400, "INVALID_DURATION"),
    ("GET", f"{VEND}&device_id=%00", None, 400, "INVALID_DEVICE"),
    ("POST", "/v1/credentials", b"not json", 400, "INVALID_REQUEST"),
    ("POST", "/v1/credentials", b"\xff\xfe", 400, "INVALID_REQUEST"),
    ("POST", "/v1/credentials", b"[]", 400, "INVALID_REQUEST"),
    ("GET", "/v2/credentials?profile=development", None, 404, "NOT_FOUND"),
    ("GET", "/v1/credentials/?profile=development", None, 404, "NOT_FOUND"),
    ("DELETE", VEND, None, 405, "METHOD_NOT_ALLOWED"),
    ("POST", "/v1/health", b"{}", 405, "METHOD_NOT_ALLOWED"),
    ("POST", "/v1/credentials", b'{"profile":"' + b"x" * 9000 + b'"}', 413, "REQUEST_TOO_LARGE"),
]


@pytest.mark.parametrize("method, target, body, status, code", BAD_INPUT)
def test_bad_input_is_told_apart(call, method, target, body, status, code):
    response = call(method, target, body, JSON if body else None)

    assert_error(response, status, code)
    assert (status == 405) == ("allow" in response.headers)
