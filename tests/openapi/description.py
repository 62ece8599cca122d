"""docs/openapi.yaml, what the replies must have beside it, and which of the replies that it describes these tests have seen."""

import os
import re
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import jsonschema_rs
import schemathesis
import yaml
from schemathesis.core.failures import Failure, FailureGroup

DOCUMENT = yaml.safe_load((Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
METHODS = ["get", "put", "post", "delete", "patch"]
CODE = re.compile(r"[A-Z]+(_[A-Z]+)+")


def operations():
    """Each operation: its method, path and description."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def response_of(operation, status):
    """The description of a reply."""
    return resolved(operation["responses"][str(status)])


def resolved(node):
    """What a `$ref` points to."""
    while "$ref" in node:
        name = node["$ref"]
        node = DOCUMENT
        for step in name.removeprefix("#/").split("/"):
            node = node[step]
    return node


def codes_of(response):
    """The error codes that the description of a reply names; none for a success."""
    found = set()

    def look(node, inside_code):
        if isinstance(node, dict):
            if inside_code:
                found.update(node.get("enum", []), [node["const"]] if "const" in node else [])
            for name, child in node.items():
                look(child, name == "Code")
        elif isinstance(node, list):
            for child in node:
                look(child, False)

    look(response, False)
    assert all(CODE.fullmatch(code) for code in found), found
    return found


# Clients must ignore members that they do not know, so the description allows them in replies. These tests do not: a member that
# is not described is a mistake.


def closed(document):
    """The same description, with no other members in any reply."""
    document = deepcopy(document)
    for _, item in document["paths"].items():
        for method in METHODS:
            for response in item.get(method, {}).get("responses", {}).values():
                _close_content(response)
    for response in document["components"]["responses"].values():
        _close_content(response)
    for schema in document["components"]["schemas"].values():
        _close_parts(schema)
    return document


def _close_content(response):
    for media_type in response.get("content", {}).values():
        _close(media_type["schema"])


def _close(schema):
    """Closes a schema. A part of `allOf` or `oneOf` stays open: the whole is closed."""
    if {"properties", "allOf", "oneOf", "$ref"} & schema.keys():
        schema.setdefault("unevaluatedProperties", False)
    _close_parts(schema)


def _close_parts(schema):
    for part in schema.get("properties", {}).values():
        _close(part)
    if "items" in schema:
        _close(schema["items"])
    for part in [*schema.get("allOf", []), *schema.get("oneOf", [])]:
        _close_parts(part)


def component(name):
    """A validator of replies like `components/responses/NAME`."""
    document = closed(DOCUMENT)
    schema = document["components"]["responses"][name]["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


# The same requests in each run, unless somebody asks for others, or for more of them.
SEED = int(os.environ.get("SEED") or 1)
EXAMPLES = int(os.environ.get("EXAMPLES") or 40)

API = schemathesis.openapi.from_dict(closed(DOCUMENT))
API.config.seed = SEED
# The requests are signed when they are sent: there is no `Authorization` to make up.
API.config.generation.update(
    database="none",
    max_examples=EXAMPLES,
    with_security_parameters=False,
)
# Only the links of the description: which others there are would depend on what earlier requests have left.
API.config.phases.stateful.inference.algorithms = []
# Malformed input is refused as such, whoever sends it and whatever exists. 404: a path with a malformed id.
API.config.checks.negative_data_rejection.expected_statuses = ["400", "404", "413", "429"]
API.config.output.sanitization.keys_to_sanitize += ("x-sentinel-caller-proof", "x-sentinel-token")

# The replies of the function that were seen: method, path, status, code.
SEEN = set()


@schemathesis.hook
def after_call(context, case, response):
    """Notes a reply of the function to a documented request."""
    if response.request.method == case.operation.method.upper() and is_of_the_function(response):
        SEEN.add((response.request.method, case.operation.path, response.status_code, code_of(response)))


def is_of_the_function(response):
    """Whether the function replied, and not the Function URL in its place."""
    return "x-request-id" in response.headers


def code_of(response):
    """The error code of a reply."""
    return response.json().get("Code") if response.status_code >= 400 else None


class Unexpected(Failure):
    """A reply that breaks a rule for all replies."""


@schemathesis.check
def keeps_the_rules_for_all_replies(ctx, response, case):
    """What docs/api.md promises of every reply, and what needs more than one field of it."""

    def rule(holds, text):
        if not holds:
            raise Unexpected(operation=case.operation.label, title="Broken rule", message=text)

    rule(is_of_the_function(response), "The function did not reply: the Function URL refused the request, or the function failed.")
    rule(response.headers.get("content-type") == ["application/json"], "Every reply is JSON.")
    rule(response.headers.get("cache-control") == ["no-store"], "Every reply has Cache-Control: no-store.")
    if response.status_code >= 400 and response.request.method != "HEAD":
        rule(response.json()["RequestId"] == response.headers["x-request-id"][0], "RequestId is X-Request-Id.")
    if response.status_code == 429:
        rule("retry-after" in response.headers, "A 429 has Retry-After.")
    has = [name in response.headers for name in ("ratelimit", "ratelimit-policy")]
    rule(has[0] == has[1], "RateLimit and RateLimit-Policy come together.")


SECRET = re.compile(r'("(?:SecretAccessKey|SessionToken|Token)"\s*:\s*)"[^"]*"?')


@contextmanager
def readable():
    """Shows a failure as Schemathesis formats it, with the curl command, and without secrets."""
    try:
        yield
    except FailureGroup as failures:
        raise AssertionError(SECRET.sub(r'\1"[Filtered]"', failures.message)) from None
