"""Shows the rate limits from outside: exceeds the quota of each tier with signed requests, and checks the replies.

    show_limits.py URL [--region REGION] [--most 500]

Signs with the AWS credentials of the environment (AWS_PROFILE and so on). Vends nothing: the requests for credentials name no
profile. They get a 400, but they count. The exit status is 1 if a tier does not hold its limit.
"""

import argparse
import json
import re
import sys
import time
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

TIERS = {"vend": "/v1/credentials", "read": "/v1/health"}
# The longest Retry-After that this script waits for, in seconds.
PATIENCE = 30


class Refuted(Exception):
    """A promise of the limits that was not kept."""


def main():
    arguments = parse_arguments()
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        sys.exit("There are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    session = URLLib3Session(timeout=30)

    def ask(path):
        request = AWSRequest("GET", arguments.url.rstrip("/") + path)
        SigV4Auth(credentials, "lambda", arguments.region).add_auth(request)
        return session.send(request.prepare())

    try:
        held = [check(tier, lambda path=path: ask(path), arguments.most) for tier, path in TIERS.items()]
    except HTTPClientError as error:
        sys.exit(f"{arguments.url} cannot be reached: {error}")
    sys.exit(0 if all(held) else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--region", help="the Region to sign for; the default comes from the URL, if it names one")
    parser.add_argument("--most", type=int, default=500, help="the most requests to send to one tier")
    arguments = parser.parse_args()
    told = re.search(r"\.lambda-url\.([a-z0-9-]+)\.on\.aws$", urlsplit(arguments.url).netloc)
    arguments.region = arguments.region or (told[1] if told else boto3.Session().region_name)
    if arguments.region is None:
        parser.error("set AWS_DEFAULT_REGION, or give --region: the URL does not name a Region")
    return arguments


def check(tier, ask, most):
    """Prints the replies of a tier, and whether they keep its promises."""
    print(bold(f"{tier}: {TIERS[tier]}"))
    try:
        exceed(tier, ask, most)
    except Refuted as refuted:
        print(red(f"  FAIL  {refuted}\n"))
        return False
    print(green("  PASS\n"))
    return True


def exceed(tier, ask, most):
    """Sends requests until one is refused, waits for Retry-After, and sends one more."""
    remaining = None
    for count in range(1, most + 1):
        response = ask()
        show(count, response)
        if response.status_code == 429:
            break
        policy = field(response, "RateLimit-Policy", rf'"{tier}";q=(\d+);w=(\d+)')
        remaining = int(field(response, "RateLimit", rf'"{tier}";r=(\d+);t=\d+')[1])
    else:
        raise Refuted(f"no 429 in {most} requests; the policy is {policy[0]}")
    if remaining:
        raise Refuted(f"refused although {remaining} requests were left")
    if json.loads(response.text)["Code"] != "RATE_LIMITED":
        raise Refuted(f"the 429 says {response.text}")
    wait = int(field(response, "Retry-After", r"([1-9]\d*)")[1])
    if wait > PATIENCE:
        print(f"  Retry-After is {wait} s: too long to wait here")
        return
    time.sleep(wait)
    response = ask()
    show(f"after {wait} s", response)
    if response.status_code == 429:
        raise Refuted(f"refused after a wait of {wait} s, as Retry-After said")


def field(response, name, pattern):
    """The parts of a header. Fails if the header does not have its documented form."""
    value = response.headers.get(name, "")
    found = re.fullmatch(pattern, value)
    if not found:
        raise Refuted(f"{response.status_code} with {name}: {value or '(none)'}")
    return found


def show(label, response):
    headers = (f"{name}: {response.headers[name]}" for name in ("RateLimit", "Retry-After") if name in response.headers)
    status = (red if response.status_code == 429 else str)(response.status_code)
    print(f"  {label:>10}  {status}  {'  '.join(headers)}")


def colour(code):
    return lambda text: f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() else str(text)


bold, red, green = colour(1), colour(31), colour(32)

if __name__ == "__main__":
    main()
