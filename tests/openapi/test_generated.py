"""Generated requests, well formed and not: each reply is as docs/openapi.yaml describes it, and none is a 5xx."""

import os
import zlib

import schemathesis
from description import API, readable
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation
from stacks import Signed

CALLERS = ["alice", "bob", "oli", "eve", "ci", "fay", "root", "blocked", "unusable"]
# Values that lead further than a generated one.
KNOWN = {
    "profile": ["development", "production", "database", "own-device", "no-such-profile"],
    "device_id": ["ALICE-MAC", "ALICE-OLD-MAC"],
}
PROOF = "X-Sentinel-Caller-Proof"


def number_of(value):
    """A number that is the same in each run."""
    return zlib.crc32(repr(value).encode())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes most requests lead further: they name what exists, and have no made-up proof, which is always refused."""
    if case.meta is None:
        return
    number = number_of((case.method, case.path, case.query, case.body))
    for values, location in [(case.query, ParameterLocation.QUERY), (case.body, ParameterLocation.BODY)]:
        if isinstance(values, dict) and not case.meta.is_negative_at(location):
            for name in KNOWN.keys() & values.keys():
                if number % 4:
                    values[name] = KNOWN[name][number // 4 % len(KNOWN[name])]
    if number % 8 and not case.meta.is_negative_at(ParameterLocation.HEADER):
        case.headers.pop(PROOF, None)


class Callers:
    """Chooses who sends a request."""

    def __init__(self, stack):
        self._stack = stack
        self._requesters = {}

    def of(self, case):
        """A fresh person for what a person can do once, the requester to withdraw, another person to decide, else any caller."""
        number = number_of((case.method, case.path, case.path_parameters, case.query, case.body))
        if number % 4 == 0:
            return CALLERS[number // 4 % len(CALLERS)]
        if case.path in ("/v1/requests", "/v1/break-glass") and case.method == "POST":
            return self._stack.person()
        if case.path.endswith("/withdraw"):
            return self._requesters.get(case.path_parameters.get("id"), "alice")
        return "oli"

    def call(self, case):
        name = self.of(case)
        with readable():
            response = case.call_and_validate(base_url=self._stack.url, auth=Signed(self._stack.callers[name]))
        if case.path == "/v1/requests" and case.method == "POST" and response.status_code == 200:
            self._requesters[response.json()["id"]] = name
        return response


@API.parametrize()
def test_each_reply_is_as_described(case, stack):
    Callers(stack).call(case)
