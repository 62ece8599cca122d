"""The local stacks that these tests send requests to, and the callers who sign them."""

import secrets
import sys
from datetime import datetime, timezone
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys
from requests.auth import AuthBase

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))

import block  # noqa: E402
from local.environment import isolate  # noqa: E402, F401
from local.ports import HOST, Ports  # noqa: E402
from local.provision import ACCOUNT, MDM_TOKEN, REGION, ROOT, TABLE, Credentials  # noqa: E402
from local.stack import LocalStack  # noqa: E402

BUNDLE = Path(__file__).parent / "bundle"
DEVELOPER = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Developer_0123456789abcdef"

# The ARNs that the local Function URL reports for the callers whose signatures it accepts, beside alice and bob.
NAMED = {
    "oli": f"{DEVELOPER}/oli@example.com",
    "eve": f"arn:aws:iam::{ACCOUNT}:user/eve",
    "ci": f"arn:aws:sts::{ACCOUNT}:assumed-role/ci-runner/build-4711",
    "fay": f"arn:aws:sts::{ACCOUNT}:federated-user/fay",
    "root": f"arn:aws:iam::{ACCOUNT}:root",
    "blocked": f"arn:aws:iam::{ACCOUNT}:user/blocked",
    # The function accepts no such principal.
    "unusable": f"arn:aws:iam::{ACCOUNT}:group/nobody",
}
# People with a budget, requests and emergencies of their own: one for each test that needs a fresh one.
PEOPLE = [f"person-{number:03}" for number in range(400)]

NO_LIMITS = {f"SENTINEL_RATE_LIMIT_{tier}REQUESTS": "1000000" for tier in ("", "EXPLAIN_", "READ_")}
# Counted, so that a block holds, but never over the quota.
ROOMY = NO_LIMITS | {"SENTINEL_MDM_POSTURE_TTL": "0"}
# The second request of a caller is over the quota. The quota of health is fixed.
TIGHT = {name: "1" for name in NO_LIMITS}
# Whoever has no client token gets nothing, nor whoever names no device. Nobody can request access. The client token is that of
# the stand-in for Jamf: the stack has this one secret.
LOCKED = NO_LIMITS | {
    "SENTINEL_CLIENT_TOKEN_SECRET_ARN": "sentinel/mdm-token",
    "SENTINEL_REQUIRE_DEVICE": "true",
    "SENTINEL_GRANTS_TABLE": None,
}
CLIENT_TOKEN = MDM_TOKEN
# No rate-limit table and no secrets.
CUT_OFF = {
    "SENTINEL_RATE_LIMIT_TABLE": "no-such-table",
    "SENTINEL_RATE_LIMIT_FAILURE_MODE": "closed",
    "SENTINEL_CLIENT_TOKEN_SECRET_ARN": "sentinel/mdm-token",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://{HOST}:9",
}


class ApiStack(LocalStack):
    """A stack with the policy of these tests and their callers. A setting that is None is not set."""

    def __init__(self, state, settings):
        arns = NAMED | {name: f"{DEVELOPER}/{name}@example.com" for name in PEOPLE}
        self._others = {name: _caller(name, arn) for name, arn in arns.items()}
        self._people = iter(PEOPLE)
        super().__init__(state, Ports.free(), policy=BUNDLE, settings=settings)

    @property
    def callers(self):
        return {**super().callers, **self._others}

    def person(self):
        """The name of somebody who has not sent a request yet."""
        return next(self._people)

    def block(self, name):
        """Blocks a caller, as `make block` does."""
        now = datetime.now(timezone.utc)
        dynamodb = ROOT.client("dynamodb", self.endpoint)
        for tier in block.TIERS:
            item = block.key(tier, self.callers[name].arn)
            block.put(dynamodb, TABLE, item, {"made": now, "until": block.NEVER, "reason": "a test"}, "these tests")

    def _start(self, name, command, env, remedy):
        return super()._start(name, command, {key: value for key, value in env.items() if value is not None}, remedy)


def _caller(name, arn):
    return Credentials(f"KEY-OF-{name}", secrets.token_hex(20), secrets.token_hex(20), arn, f"AROA{name.upper()}:{name}")


class Signed(AuthBase):
    """Signs a request, when everything else about it is settled."""

    def __init__(self, caller):
        self._keys = Keys(caller.access_key_id, caller.secret_access_key, caller.session_token)

    def __call__(self, request):
        # Only the headers that AWS requires: clients do not agree on how to sign the bytes that a generated header may hold.
        # A space in the query is `%20`: after signing, `+` would be a plus.
        request.url = request.url.replace("+", "%20")
        signed = AWSRequest(request.method, request.url, data=request.body)
        SigV4Auth(self._keys, "lambda", REGION).add_auth(signed)
        request.headers.update(signed.headers.items())
        return request
