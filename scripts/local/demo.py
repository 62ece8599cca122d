"""The demonstration: vends credentials for alice, uses them, and prints the result."""

import json
import os
import shlex

from local import client
from local.audit import audit_line
from local.errors import StackError
from local.provision import REGION

VEND = "/v1/credentials?profile=development"
CUSTOMER_DATA = "/v1/credentials?profile=customer-data"


def demonstrate(stack):
    """Vends credentials, uses them, and prints both results. Raises if either fails."""
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
            "request": f"GET {VEND}",
            "vended": f"{credentials.access_key_id} (secret key and session token: not shown)",
            "valid until": body["Expiration"],
            "they act as": client.identity(credentials, stack.endpoint),
            "source identity": audit["source_identity"],
            "request id": request_id,
        }
    )


def refusal(stack, response):
    """The error for an unexpected reply, with the reason from its audit line."""
    request_id = response.headers.get("x-request-id", "")
    detail = audit_line(stack.function_log, request_id).get("detail", "none") if request_id else "the function did not reply"
    return StackError(
        f"the function replied {response.status_code} {response.text}\n"
        f"Reason in its log ({stack.function_log}): {detail}"
    )


# What alice adds to a request for customer data, and the status that she must get. Only her own compliant computer passes.
DEVICES = [
    ("no device", "", 403),
    ("a computer that is not compliant", "&device_id=ALICE-OLD-MAC", 403),
    ("somebody else's computer", "&device_id=BOB-MAC", 403),
    ("her own compliant computer", "&device_id=ALICE-MAC", 200),
]


def demonstrate_devices(stack):
    """Requests a profile that needs a device, from each kind of device. Raises if a reply is not the expected one."""
    print("policy/access.cedar permits customer data only from your own compliant computer. alice asks from\n")
    for name, query, expected in DEVICES:
        response = client.call(stack.callers["alice"], "GET", f"{stack.url}{CUSTOMER_DATA}{query}")
        print(f"  {name:<34}{response.status_code} {json.loads(response.text).get('Code', 'OK')}")
        if response.status_code != expected:
            raise refusal(stack, response)
    print()


def print_commands(stack):
    """Prints the commands to try next."""
    env = os.path.relpath(stack.environment_file)
    vend = shlex.join(["awscurl", "--service", "lambda", "--region", REGION]) + f' "$FUNCTION_URL{VEND}"'
    print("\nRequest credentials yourself, in another terminal:\n")
    print(f"  . {shlex.quote(env)}      # AWS_PROFILE is now alice, FUNCTION_URL is {stack.url}")
    print(f"  {vend}\n")
    print("The profiles are `alice`, `bob` (the starter policy refuses him), `root` (administers the emulator) and `development`,")
    print("whose credentials every AWS SDK and the CLI request from the function by themselves.")
    if stack.policy_parameter:
        print(f"The function reads its policy from Parameter Store. After a change: AWS_PROFILE=root make policy-push PARAMETER={stack.policy_parameter}")
        print("A change to src/ restarts the function.")
    else:
        print("A change to policy/ or src/ restarts the function.")


def _print_table(rows):
    width = max(map(len, rows))
    print()
    for name, value in rows.items():
        print(f"  {name:<{width}}  {value}")
    print()
