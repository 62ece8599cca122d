"""Each status that docs/openapi.yaml documents, reached on purpose; and what has no place in it."""

import pytest
import requests
from description import API, METHODS, code_of, component, is_of_the_function, keeps_the_rules_for_all_replies, operations, readable
from requests.auth import AuthBase
from schemathesis.checks import not_a_server_error
from stacks import CLIENT_TOKEN, Credentials, Signed

OPERATIONS = [(method, path) for method, path, _ in operations()]
PROFILE = {"/v1/requests": "production", "/v1/break-glass": "database"}
REASON = "the disk of the database is full"
NO_SUCH_ID = "0123456789abcdef-01234567"
PAIRS = [(method, path, int(status)) for method, path, described in operations() for status in described["responses"]]


class Stranger(AuthBase):
    """Somebody who signs nothing, or with a key that nobody knows."""

    def __init__(self, key=None):
        self._sign = Signed(key) if key else lambda request: request

    def __call__(self, request):
        return self._sign(request)


def ask(stack, who, method, path, query=None, body=None, headers=None, access_id=NO_SUCH_ID):
    """Sends a request and holds its reply against the description. `who` is a caller's name, or a stranger."""
    parts = {"query": query or {}, "headers": headers or {}}
    if "{id}" in path:
        parts["path_parameters"] = {"id": access_id}
    if body is not None:
        parts |= {"body": body, "media_type": "application/json"}
    case = API[path][method].Case(**parts)
    excluded = [not_a_server_error]
    if isinstance(who, Stranger):
        excluded.append(keeps_the_rules_for_all_replies)
    else:
        who = Signed(stack.callers[who])
    with readable():
        return case.call_and_validate(base_url=stack.url, auth=who, excluded_checks=excluded)


def valid(method, path):
    """The parameters of a request that a permitted caller would get granted."""
    parameters = {"profile": PROFILE.get(path, "development")}
    if method == "GET":
        return {"query": parameters} if path in ("/v1/credentials", "/v1/explain") else {}
    if "{id}" in path:
        return {}
    return {"body": parameters if path == "/v1/credentials" else parameters | {"reason": REASON}}


def requested(stack):
    """A fresh request for access: its id, and who made it."""
    who = stack.person()
    return ask(stack, who, "POST", "/v1/requests", **valid("POST", "/v1/requests")).json()["id"], who


# One way for each status: a function of the stacks, the method and the path, which returns the last reply.


def granted(stacks, method, path):
    stack = stacks("stack")
    if "{id}" not in path:
        return ask(stack, stack.person(), method, path, **valid(method, path))
    access_id, requester = requested(stack)
    return ask(stack, requester if path.endswith("withdraw") else "oli", method, path, access_id=access_id)


def malformed(stacks, method, path):
    return ask(stacks("stack"), "oli", method, path, query={"unknown": "1"})


def without_client_token(stacks, method, path):
    return ask(stacks("locked"), "oli", method, path, **valid(method, path))


def by_an_unusable_principal(stacks, method, path):
    return ask(stacks("stack"), "unusable", method, path, **valid(method, path))


def without_a_grants_table(stacks, method, path):
    return ask(stacks("locked"), "oli", method, path, **valid(method, path), headers={"X-Sentinel-Token": CLIENT_TOKEN})


def twice(stacks, method, path):
    stack = stacks("stack")
    if "{id}" not in path:
        who = stack.person()
        body = valid(method, path)["body"]
        ask(stack, who, method, path, body=body)
        # With the same words, an emergency of the same second would be a retry.
        return ask(stack, who, method, path, body=body | {"reason": f"{REASON} again"})
    access_id, requester = requested(stack)
    who = requester if path.endswith("withdraw") else "oli"
    ask(stack, who, method, path, access_id=access_id)
    return ask(stack, who, method, path, access_id=access_id)


def too_large(stacks, method, path):
    long = {"profile": "x" * 9000}
    return ask(stacks("stack"), "oli", method, path, **({"query": long} if method == "GET" else {"body": long}))


def too_often(stacks, method, path):
    stack = stacks("tight")
    who = stack.person()
    replies = (ask(stack, who, method, path, **valid(method, path)) for _ in range(70))
    return next((reply for reply in replies if reply.status_code == 429), None)


def for_a_role_that_trusts_somebody_else(stacks, method, path):
    parameters = {"profile": "untrusted"}
    return ask(stacks("stack"), "oli", method, path, **({"query": parameters} if method == "GET" else {"body": parameters}))


def while_services_are_out_of_reach(stacks, method, path):
    return ask(stacks("cut_off"), "oli", method, path, **valid(method, path))


WAYS = {
    200: granted,
    400: malformed,
    401: without_client_token,
    403: by_an_unusable_principal,
    404: without_a_grants_table,
    409: twice,
    413: too_large,
    429: too_often,
    502: for_a_role_that_trusts_somebody_else,
    503: while_services_are_out_of_reach,
}


@pytest.fixture
def stacks(request):
    """Starts a stack when it is needed."""
    return request.getfixturevalue


@pytest.mark.parametrize(("method", "path", "status"), PAIRS)
def test_each_documented_status_is_reached(stacks, method, path, status):
    assert status in WAYS, f"docs/openapi.yaml has a new status: write down in WAYS how to reach {status}, or leave it out there"
    reply = WAYS[status](stacks, method, path)
    assert reply is not None and reply.status_code == status, reply and reply.text


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_security_an_unsigned_request_gets_nothing(stack, method, path):
    """
    THREAT: a path is open to callers whom IAM has not identified.
    PREVENTION: no documented path replies to a request without a signature, or with that of an unknown key.
    """
    for who in (Stranger(), Stranger(Credentials("KEY-OF-NOBODY", "x" * 40, "x" * 40))):
        reply = ask(stack, who, method, path, **valid(method, path))
        assert reply.status_code == 403 and not is_of_the_function(reply), reply.text


# Codes that need more than a way above.


def test_a_request_for_access_has_its_refusals(stack):
    make = ("POST", "/v1/requests")
    decide = [("POST", f"/v1/requests/{{id}}/{change}") for change in ("approve", "deny", "withdraw")]

    def code(who, operation, **parts):
        return code_of(ask(stack, who, *operation, **parts))

    assert code("oli", make, body={"profile": "development", "reason": REASON}) == "APPROVAL_NOT_NEEDED"
    assert code("oli", make, body={"profile": "no-such-profile", "reason": REASON}) == "POLICY_DENY"
    assert code("ci", make, body={"profile": "production", "reason": REASON}) == "PERSON_REQUIRED"
    assert code("ci", ("POST", "/v1/break-glass"), **valid("POST", "/v1/break-glass")) == "PERSON_REQUIRED"
    access_id, requester = requested(stack)
    for operation in decide[:2]:
        assert code(requester, operation, access_id=access_id) == "OWN_REQUEST"
        assert code("ci", operation, access_id=access_id) == "PERSON_REQUIRED"
    assert code("oli", decide[2], access_id=access_id) == "NOT_FOUND", "only the requester withdraws"
    gift = ask(stack, stack.person(), *make, body={"profile": "production", "reason": "a gift"}).json()["id"]
    assert code("oli", decide[0], access_id=gift) == "POLICY_DENY"
    for operation in decide:
        assert code("oli", operation, body={"profile": "x"}) == "INVALID_REQUEST"
        assert code("oli", operation) == "NOT_FOUND"


@pytest.mark.parametrize(("method", "path"), [pair for pair in OPERATIONS if pair[1] in ("/v1/credentials", "/v1/explain")])
def test_each_parameter_has_its_refusal(stack, locked, method, path):
    def code(on=stack, who="oli", headers=None, **parameters):
        parts = {"query": parameters} if method == "GET" else {"body": parameters}
        return code_of(ask(on, who, method, path, headers=headers, **parts))

    assert code() == "MISSING_PROFILE"
    assert code(profile="-") == "INVALID_PROFILE"
    assert code(profile="development", duration="0900") == "INVALID_DURATION"
    assert code(profile="development", device_id="_") == "INVALID_DEVICE"
    assert code(profile="development", headers={"X-Sentinel-Caller-Proof": "e30"}) == "CALLER_PROOF_INVALID"
    assert code(profile="development", who="blocked") == "CALLER_BLOCKED"
    if path == "/v1/credentials":
        token = {"X-Sentinel-Token": CLIENT_TOKEN}
        assert code(profile="no-such-profile") == "POLICY_DENY"
        assert code(locked, profile="development", headers=token) == "DEVICE_REQUIRED"
        assert code(locked, profile="development", headers=token, device_id="NO-SUCH-MAC") == "DEVICE_VERIFICATION_FAILED"


# What is not in the description: other methods, and other paths.


@pytest.mark.parametrize("path", sorted({path for _, path in OPERATIONS}))
def test_other_methods_are_refused_and_the_allowed_ones_named(stack, path):
    described = sorted(method for method, other in OPERATIONS if other == path)
    validator = component("MethodNotAllowed")
    for method in [*map(str.upper, METHODS), "HEAD", "OPTIONS", "TRACE", "INVENTED"]:
        if method in described:
            continue
        url = stack.url + path.replace("{id}", NO_SUCH_ID)
        reply = requests.request(method, url, auth=Signed(stack.callers["oli"]), timeout=60)
        assert reply.status_code == 405, f"{method} {path}: {reply.text}"
        assert sorted(reply.headers["Allow"].split(", ")) == described
        assert method == "HEAD" or validator.is_valid(reply.json()), reply.text


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/credentials/", "/v2/credentials", "/v1/requests/", f"/v1/requests/{NO_SUCH_ID}", "//v1/health"])
def test_other_paths_are_not_found(stack, path):
    reply = requests.get(stack.url + path, auth=Signed(stack.callers["oli"]), timeout=60)
    assert reply.status_code == 404 and component("NotFound").is_valid(reply.json()), reply.text


def test_the_path_without_a_name_is_credentials(stack):
    reply = requests.get(f"{stack.url}/", params={"profile": "development"}, auth=Signed(stack.callers["oli"]), timeout=60)
    assert reply.status_code == 200 and component("Credentials").is_valid(reply.json())
