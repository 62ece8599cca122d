"""One vend for alice, proved and told in a few lines."""

import json
import shlex

from local import client
from local.audit import audit_line
from local.errors import StackError

VEND = "/v1/credentials?profile=development"
CUSTOMER_DATA = "/v1/credentials?profile=customer-data"


def demonstrate(stack):
    """Vends, uses what was vended, and prints both; raises if either fails."""
    alice = stack.callers["alice"]
    response = client.call(alice, "GET", f"{stack.url}{VEND}")
    if response.status_code != 200:
        raise refusal(stack, response)
    body = json.loads(response.text)
    credentials = client.vended(body)
    request_id = response.headers["x-request-id"]
    audit = audit_line(stack.function_log, request_id)
    _print_table(
        {
            "signed by": alice.arn,
            "asked for": f"GET {VEND}",
            "vended": f"{credentials.access_key_id} (secret key and session token: not shown)",
            "valid until": body["Expiration"],
            "they act as": client.identity(credentials, stack.endpoint),
            "source identity": audit["source_identity"],
            "request id": request_id,
        }
    )


def refusal(stack, response):
    """The error for an answer that should have been another, with the reason in its audit line."""
    request_id = response.headers.get("x-request-id", "")
    detail = audit_line(stack.function_log, request_id).get("detail", "none") if request_id else "the function did not answer"
    return StackError(
        f"the function answered {response.status_code} {response.text}\n"
        f"Reason in its log ({stack.function_log}): {detail}"
    )


# What alice sends with a request for customer data, and what she must get: only her own compliant computer will do.
DEVICES = [
    ("no device", "", 403),
    ("a computer that is not compliant", "&device_id=ALICE-OLD-MAC", 403),
    ("somebody else's computer", "&device_id=BOB-MAC", 403),
    ("her own compliant computer", "&device_id=ALICE-MAC", 200),
]


def demonstrate_devices(stack):
    """Asks for a profile that demands a device, from each kind of device; raises if one gets what it should not."""
    print("Customer data is for one's own compliant computer, says policy/access.cedar. alice asks from\n")
    for name, query, expected in DEVICES:
        response = client.call(stack.callers["alice"], "GET", f"{stack.url}{CUSTOMER_DATA}{query}")
        print(f"  {name:<34}{response.status_code} {json.loads(response.text).get('Code', 'OK')}")
        if response.status_code != expected:
            raise refusal(stack, response)
    print()


def print_commands(stack):
    """What to type next."""
    aws_files = [f"{name}={shlex.quote(path)}" for name, path in stack.aws_files.items()]
    command = shlex.join(stack.awscurl("alice", VEND))
    print("\nAsk for credentials yourself, as alice (the starter policy refuses bob):\n")
    print(" \\\n    ".join(["  export", *aws_files]) + f"\n  {command}\n")
    print("With those two variables, the profile `development` vends by itself for any AWS SDK or CLI.")
    print("A change to policy/ or src/ restarts the function.")


def _print_table(rows):
    width = max(map(len, rows))
    print()
    for name, value in rows.items():
        print(f"  {name:<{width}}  {value}")
    print()
