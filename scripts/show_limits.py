"""Shows the rate limits from outside: exceeds the quota of each tier with signed requests, and checks the replies.

    show_limits.py URL [--region REGION] [--most 500]

Signs with the AWS credentials of the environment (AWS_PROFILE and so on). Vends nothing: the requests for credentials name no
profile. So their 400 is what this script wants. It counts like any other request. While a tier is exhausted, the others and
health must reply. The exit status is 1 if a tier does not hold its limit, or does not reply.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

import account

# Each tier: what is sent, why, and the reply of a request that is within the quota.
TIERS = {
    "vend": ("/v1/credentials", "Without a profile nothing is vended, but the request counts.", "400 MISSING_PROFILE"),
    "read": ("/v1/profiles", "", "200"),
}
HEALTH = "/v1/health"
# What must still reply while a tier is exhausted.
MEANWHILE = {"vend": ["/v1/profiles", HEALTH], "read": [HEALTH]}
REFUSED = "429 RATE_LIMITED"
# The longest Retry-After that this script waits for, in seconds.
PATIENCE = 30


class Refuted(Exception):
    """A promise of the limits that was not kept."""


def main():
    arguments = parse_arguments()
    credentials = account.signed_in().get_credentials()
    session = URLLib3Session(timeout=30)

    def ask(path):
        request = AWSRequest("GET", arguments.url.rstrip("/") + path)
        SigV4Auth(credentials, "lambda", arguments.region).add_auth(request)
        return session.send(request.prepare())

    try:
        held = [check(tier, ask, arguments.most) for tier in TIERS]
        held.append(health(ask))
    except HTTPClientError as error:
        sys.exit(f"{arguments.url} cannot be reached: {error}")
    sys.exit(0 if all(held) else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--region", help="the Region to sign for; the default comes from the URL, if it names one")
    parser.add_argument("--most", type=int, default=500, help="the most requests to send to one tier")
    arguments = parser.parse_args()
    arguments.region = arguments.region or account.region_of_url(arguments.url)
    if arguments.region is None:
        parser.error(f"the URL names no Region. {account.REGION}")
    return arguments


def check(tier, ask, most):
    """Prints a table of what was sent, expected and seen for a tier, and whether it holds its limit."""
    path, why, ordinary = TIERS[tier]
    print(bold(f"{tier}: GET {path}") + (f"  {why}" if why else ""))
    row("sent", "expected", "seen")
    return verdict(lambda: exceed(tier, lambda: ask(path), lambda: others(tier, ask), ordinary, most))


def health(ask):
    """The same for health, which no other tier exhausts: it replies, and names the quota of each path."""
    print(bold(f"health: GET {HEALTH}") + "  Each instance counts it alone.")
    row("sent", "expected", "seen")

    def healthy():
        response = ask(HEALTH)
        if response.status_code == 403:
            field(response, "RateLimit", "")
        state = json.loads(response.text) if response.status_code == 200 else {}
        well = state.get("storage", {}).get("healthy")
        seen = outcome(response) + (", storage healthy" if well else ", storage not healthy" if state else "")
        row("1 request, as all others", "200, storage healthy", seen)
        for path, tier in sorted(state.get("rate_limit", {}).get("paths", {}).items()):
            print(f"  {path} is charged to {tier}")
        if not well:
            raise Refuted("health does not reply, or the table of the limits does not")

    return verdict(healthy)


def verdict(test):
    """Prints whether a test holds."""
    try:
        test()
    except Refuted as refuted:
        print(red(f"  FAIL  {refuted}\n"))
        return False
    print(green("  PASS\n"))
    return True


def others(tier, ask):
    """What is not charged to an exhausted tier still replies."""
    for path in MEANWHILE[tier]:
        response = ask(path)
        row(f"meanwhile {path}", "200", outcome(response))
        if response.status_code != 200:
            raise Refuted(f"{path} does not reply while {tier} is exhausted")


def exceed(tier, ask, ask_others, ordinary, most):
    """Sends requests until one is refused, asks the others, waits for Retry-After, and sends one more."""
    seen, announced, remaining = Counter(), None, None
    for _ in range(most):
        response = ask()
        if response.status_code == 429:
            break
        policy = field(response, "RateLimit-Policy", rf'"{tier}";q=\d+;w=\d+(, "{tier}-day";q=\d+;w=86400)?')
        left = field(response, "RateLimit", rf'"{tier}";r=(\d+);t=\d+(?:, "{tier}-day";r=(\d+);t=\d+)?')
        remaining = min(int(window) for window in left.groups() if window)
        announced = remaining + 1 if announced is None else announced
        seen[outcome(response)] += 1
    else:
        row(f"{most} requests", f"{ordinary}, then {REFUSED}", counted(seen))
        raise Refuted(f"no 429 in {most} requests; the policy is {policy[0]}")
    if seen:
        row(f"{seen.total()} requests at once", f"{announced} × {ordinary}, or more", counted(seen))
    row("1 more", f"{REFUSED}, Retry-After", f"{outcome(response)}, Retry-After: {response.headers.get('Retry-After', 'none')}")
    if set(seen) - {ordinary}:
        raise Refuted(f"a request within the quota gets {ordinary}")
    if remaining:
        raise Refuted(f"refused although {remaining} requests were left")
    if outcome(response) != REFUSED:
        raise Refuted(f"the 429 says {response.text}")
    ask_others()
    wait = int(field(response, "Retry-After", r"([1-9]\d*)")[1])
    if wait > PATIENCE:
        row(f"nothing: {wait} s are too long to wait", ordinary, "not tried")
        return
    time.sleep(wait)
    response = ask()
    row(f"1 after {wait} s", ordinary, outcome(response))
    if outcome(response) != ordinary:
        raise Refuted(f"refused after a wait of {wait} s, as Retry-After said")


def outcome(response):
    """The status and the code of a reply, as in `429 RATE_LIMITED`."""
    try:
        code = json.loads(response.text).get("Code", "")
    except (ValueError, AttributeError):
        code = ""
    return f"{response.status_code} {code}".strip()


def counted(seen):
    return ", ".join(f"{count} × {what}" for what, count in seen.items())


def field(response, name, pattern):
    """The parts of a header. Fails if the header does not have its documented form."""
    value = response.headers.get(name)
    if value is None and response.status_code == 403:
        raise Refuted(
            f"403 {response.text}: the request did not reach the function. "
            "Is the callers' policy attached, and are Region and URL right?"
        )
    found = re.fullmatch(pattern, value or "")
    if not found:
        raise Refuted(f"{outcome(response)} with {name}: {value or '(none)'}")
    return found


def row(sent, expected, seen):
    print(f"  {sent:<24}  {expected:<34}  {seen}")


def colour(code):
    return lambda text: f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() else str(text)


bold, red, green = colour(1), colour(31), colour(32)

if __name__ == "__main__":
    main()
