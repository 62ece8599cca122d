"""The second demonstration: access that another person approves, a session with a scope, and a caller who is blocked."""

import json
import os
import shlex
import shutil
import subprocess
import sys

from local import client
from local.audit import audit_line
from local.demo import refusal
from local.errors import StackError
from local.provision import ACCOUNT, CALLER_ROLE, REGION, ROOT, TABLE
from local.stack import REPOSITORY

PROFILE = f"""
[payments]
role_arn = "arn:aws:iam::{ACCOUNT}:role/vended-production"
description = "Repair payments, with the approval of another person"

[payments.scopes.read-only]
description = "Look at the queues, and change nothing"
session_policy = '''
{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["sqs:Get*","sqs:List*"],"Resource":"*"}}]}}
'''
"""
RULES = f"""
@id("developers-repair-payments-with-approval")
permit (principal, action == Sentinel::Action::"vend", resource == Sentinel::Profile::"payments")
when {{
  principal.arn like "arn:aws:sts::{ACCOUNT}:assumed-role/{CALLER_ROLE}/*" &&
  context has approval
}};

@id("bob-approves-payments")
permit (principal, action == Sentinel::Action::"approve", resource == Sentinel::Profile::"payments")
when {{ principal.arn == "arn:aws:iam::{ACCOUNT}:user/bob" }};
"""
VEND = "/v1/credentials?profile=payments"
READ_ONLY = f"{VEND}&scope=read-only&agent=coding-agent&ticket=OPS-4711"
ASK = {"profile": "payments", "reason": "repair the payments queue", "ticket": "OPS-4711", "duration": 1200}
BLOCK = {"FOR": "1h", "REASON": "key leaked, ticket 4711", "TABLE": TABLE, "YES": "1"}


def with_approvals(policy, directory):
    """Copies the bundle `policy` to `directory`, with one more profile, which needs an approval. Returns `directory`."""
    shutil.copytree(policy, directory)
    with open(directory / "profiles.toml", "a", encoding="utf-8") as catalogue:
        catalogue.write(PROFILE)
    (directory / "payments.cedar").write_text(RULES, encoding="utf-8")
    return directory


def demonstrate_approval(stack):
    """A request, its approval, and the credentials that rest on it. Raises if a reply is not the expected one. Returns them."""
    print("This demo adds the profile `payments`. alice gets it if another person approves, and bob may approve.\n")
    _send(stack, "alice asks for credentials", "alice", "GET", VEND, "403 POLICY_DENY")
    _send(stack, "alice asks what is missing", "alice", "GET", VEND.replace("credentials", "explain"), "200 approval")
    request = _send(stack, f"alice requests access: {ASK['reason']}", "alice", "POST", "/v1/requests", "200 pending", ASK)
    approve = f"/v1/requests/{_body(request)['id']}/approve"
    _send(stack, "alice approves her own request", "alice", "POST", approve, "403 OWN_REQUEST")
    _send(stack, "bob approves it", "bob", "POST", approve, "200 approved")
    vended = _send(stack, "alice asks for credentials", "alice", "GET", f"{VEND}&duration=3600", "200 OK")
    seconds, limit = vended.headers["x-sentinel-granted-seconds"], vended.headers["x-sentinel-clamped-by"]
    credentials = client.vended(_body(vended))
    print(f"\n  They act as {client.identity(credentials, stack.endpoint)}")
    print(f"  for {seconds} of the 3600 seconds that she asked for: the limit is the {limit}.")
    _show_audit(stack, vended, "approval")
    return credentials


def demonstrate_scope(stack):
    """A session that can do less than the profile. Raises if a reply is not the expected one. Returns the credentials."""
    print("Her coding agent needs less, and says who it is. The scope is one more session policy: AWS enforces it.\n")
    vended = _send(stack, "alice asks for the scope `read-only`", "alice", "GET", READ_ONLY, "200 OK")
    _show_audit(stack, vended, "scope", "claimed", "session_policy")
    return client.vended(_body(vended))


def demonstrate_block(stack):
    """A block refuses alice's next request, and is taken off. Raises if a reply is not the expected one."""
    print("An operator blocks alice in the rate-limit table, with the script of `make block`.\n")
    _block(stack, "on")
    _send(stack, "alice asks for credentials", "alice", "GET", VEND, "403 CALLER_BLOCKED")
    _send(stack, "bob lists the requests", "bob", "GET", "/v1/requests", "200 OK")
    _block(stack, "off")
    print("\n  An instance that has seen the block forgets it within half a minute.\n")


def _send(stack, what, caller, method, target, expected, body=None):
    """Sends a request, and prints what became of it."""
    data = json.dumps(body) if body else None
    headers = {"Content-Type": "application/json"} if body else None
    response = client.call(stack.callers[caller], method, stack.url + target, data, headers)
    reply = _body(response)
    became = reply.get("Code") or reply.get("state") or " ".join(reply.get("missing", ["OK"]))
    print(f"  {what:<52}{response.status_code} {became}")
    if f"{response.status_code} {became}" != expected:
        raise refusal(stack, response)
    return response


def _show_audit(stack, response, *fields):
    """Prints fields of the audit line of a request."""
    audit = audit_line(stack.function_log, response.headers["x-request-id"])
    print("\n  Its audit line has")
    for field in fields:
        value = audit[field]
        print(f"    {field:<16}{value if isinstance(value, str) else json.dumps(value)}")
    print()


def _body(response):
    return json.loads(response.text)


def _block(stack, switch):
    """Runs block.py as an administrator of the emulator."""
    settings = {"WHO": stack.callers["alice"].arn, **(BLOCK if switch == "on" else {"TABLE": TABLE, "YES": "1"})}
    keys = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
    env = {**os.environ, **keys, "AWS_ENDPOINT_URL": stack.endpoint, "AWS_REGION": REGION, **settings}
    script = REPOSITORY / "scripts" / "block.py"
    done = subprocess.run([sys.executable, script, switch], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"{script.relative_to(REPOSITORY)} {switch} failed: {done.stderr}")
    print(f"  {' '.join(f'{name}={shlex.quote(value)}' for name, value in settings.items())} scripts/block.py {switch}")
