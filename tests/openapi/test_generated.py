"""Generated requests, well formed and not: each reply is as docs/openapi.yaml describes it, and none is a 5xx."""

import json
import unicodedata
import zlib

import schemathesis
from description import API, SEED, code_of, readable
from hypothesis import seed, settings
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.stateful.state_machine import DEFAULT_STATE_MACHINE_SETTINGS
from stacks import Signed

CALLERS = ["alice", "bob", "oli", "eve", "ci", "fay", "root", "blocked", "unusable"]
# Values that lead further than a generated one. Those in front lead furthest.
PROFILES = {
    "/v1/requests": ["production", "development", "no-such-profile"],
    "/v1/break-glass": ["database", "development", "no-such-profile"],
}
OTHER_PROFILES = ["development", "own-device", "production", "database", "no-such-profile"]
DEVICES = ["ALICE-MAC", "ALICE-OLD-MAC"]
PROOF = "X-Sentinel-Caller-Proof"


def is_plain(reason):
    """Whether a reason has nothing that the function refuses, beyond what a pattern can say: see `src/access/text.rs`."""
    drawn_as_nothing = "\u115f\u1160\u2800\u3164\uffa0"
    return not any(unicodedata.category(one)[0] in "MCZ" and one != " " or one in drawn_as_nothing for one in reason)


@schemathesis.hook
def filter_body(context, body):
    """Leaves out reasons of which the description says in words alone what is wrong with them."""
    reason = body.get("reason") if isinstance(body, dict) else None
    return not isinstance(reason, str) or is_plain(reason.strip())


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A malformed proof is refused as a wrong one is, with a 403."""
    is_about_the_proof = isinstance(failure, AcceptedNegativeData) and case.meta.is_negative_at(ParameterLocation.HEADER)
    return not (is_about_the_proof and code_of(response) == "CALLER_PROOF_INVALID")


def number_of(case):
    """A number that is the same in each run."""
    parts = [case.method, case.path, case.query, case.body]
    return zlib.crc32(json.dumps(parts, sort_keys=True, default=lambda _: None).encode())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes most requests lead further: they name what exists, and have no made-up proof, which is always refused."""
    if case.meta is None:
        return
    number = number_of(case)
    known = {"profile": PROFILES.get(case.path, OTHER_PROFILES), "device_id": DEVICES}
    for values, location in [(case.query, ParameterLocation.QUERY), (case.body, ParameterLocation.BODY)]:
        if isinstance(values, dict) and not case.meta.is_negative_at(location):
            for name in known.keys() & values.keys():
                if number % 8:
                    values[name] = known[name][max(0, number // 8 % (2 * len(known[name])) - len(known[name]))]
            if isinstance(values.get("duration"), float):
                # JSON Schema calls 900.0 an integer. Most programs write 900.
                values["duration"] = int(values["duration"])
    elsewhere = (ParameterLocation.QUERY, ParameterLocation.BODY, ParameterLocation.PATH)
    is_about_the_proof = case.meta.is_negative_at(ParameterLocation.HEADER) and not any(map(case.meta.is_negative_at, elsewhere))
    is_a_sample = case.meta.generation.mode.is_positive and number % 8 == 0
    if not (is_about_the_proof or is_a_sample):
        case.headers.pop(PROOF, None)


class Callers:
    """Chooses who sends a request."""

    def __init__(self, stack):
        self._stack = stack
        self._requesters = {}

    def of(self, case):
        """A fresh person for what a person can do once, the requester to withdraw, another person to decide, else any caller."""
        number = number_of(case)
        if number % 4 == 0 and not case.meta.generation.mode.is_negative:
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


@seed(SEED)
class Sequences(API.as_state_machine()):
    """Sequences of requests along the links of the description: request, list, approve, deny, withdraw."""

    callers = None

    def call(self, case, **_):
        return self.callers.call(case)

    def validate_response(self, response, case, **_):
        pass  # `callers` did


def test_sequences_of_requests_are_as_described(stack):
    Sequences.callers = Callers(stack)
    Sequences.run(settings=settings(DEFAULT_STATE_MACHINE_SETTINGS, max_examples=30, stateful_step_count=8, database=None))
