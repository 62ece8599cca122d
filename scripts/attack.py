"""Attacks a deployed end point as a caller would who wants more than the policy gives. Each attack has to fail.

    attack.py URL [--region REGION] [--role ARN] [--function NAME] [--vend PROFILE]

Signs with the AWS credentials of the environment: those of an ordinary caller, not of an administrator. Changes nothing and vends
nothing, but leaves some thirty audit lines, most of them refusals, and counts in the caller's quota.

  --role ARN        also tries to assume this protected role directly
  --function NAME   also tries to invoke the function directly, with a forged identity
  --vend PROFILE    also vends this profile, once, to see how long the session is. The caller must be permitted

The exit status is 1 if an attack gets further than it should.
"""

import argparse
import json
import re
import sys
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.httpsession import URLLib3Session

import account
from show_limits import green, outcome, red

# What no reply may tell: names inside AWS, of hosts, of sources. (That the quota is in DynamoDB, /v1/health says.)
INTERNAL = re.compile(r"arn:aws|amazonaws|RateLimitTable|secretsmanager|parameter store|jamf|graph\.microsoft|panicked|src/|\.rs\b|/opt/", re.IGNORECASE)
NOT_A_PROFILE = "no-such-profile-7f3a"
FORGED = "arn:aws:iam::123456789012:user/administrator"
HEADERS = ["X-Amzn-Caller-Arn", "X-Forwarded-User", "X-Amz-User-Arn", "X-Sentinel-Caller", "X-Amzn-Iam-User-Arn"]


class End:
    """The attacked end point."""

    def __init__(self, url, region, credentials):
        self.url, self.region, self.credentials = url.rstrip("/"), region, credentials
        self._session = URLLib3Session(timeout=30)
        self.replies = []

    def send(self, request):
        reply = self._session.send(request.prepare() if isinstance(request, AWSRequest) else request)
        self.replies.append(reply)
        return reply

    def signed(self, target, method="GET", headers=None, body=None, service="lambda", region=None):
        request = AWSRequest(method, self.url + target, headers=headers or {}, data=body)
        SigV4Auth(self.credentials, service, region or self.region).add_auth(request)
        return request

    def ask(self, target, **how):
        return self.send(self.signed(target, **how))


# Each attack: what is tried; gives what has been seen, and whether that is a refusal as it has to be.


def unsigned(end):
    """a request without a signature"""
    reply = end.send(AWSRequest("GET", end.url + "/v1/health"))
    return reply, stopped_before(reply)


def preflight(end):
    """a browser's preflight from another site"""
    headers = {"Origin": "https://attacker.example", "Access-Control-Request-Method": "GET"}
    reply = end.send(AWSRequest("OPTIONS", end.url + "/v1/credentials", headers=headers))
    return reply, reply.status_code >= 400 and not any(name.lower().startswith("access-control-") for name in reply.headers)


def other_service(end):
    """a signature for another service"""
    reply = end.ask("/v1/health", service="s3")
    return reply, stopped_before(reply)


def other_region(end):
    """a signature for another Region"""
    reply = end.ask("/v1/health", region="eu-north-1" if end.region != "eu-north-1" else "us-east-1")
    return reply, stopped_before(reply)


def changed(end):
    """a request that somebody changed after it was signed"""
    request = end.signed("/v1/explain?profile=development").prepare()
    request.url = request.url.replace("development", "production")
    reply = end.send(request)
    return reply, stopped_before(reply)


def presigned(end):
    """a pre-signed URL"""
    request = AWSRequest("GET", end.url + "/v1/health")
    SigV4QueryAuth(end.credentials, "lambda", end.region, expires=60).add_auth(request)
    reply = end.send(AWSRequest("GET", request.url))
    return reply, reply.status_code == 403


def old(end):
    """a signature that is half an hour old"""
    request = AWSRequest("GET", end.url + "/v1/health")
    signer = SigV4Auth(end.credentials, "lambda", end.region)
    then = datetime.now(timezone.utc) - timedelta(minutes=30)
    request.context["timestamp"] = then.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if end.credentials.token:
        request.headers["X-Amz-Security-Token"] = end.credentials.token
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signed = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={signed}, Signature={signature}"
    )
    reply = end.send(request)
    return reply, reply.status_code == 403


def identity_in_headers(end):
    """another identity in headers"""
    plain = end.ask("/v1/profiles")
    reply = end.ask("/v1/profiles", headers=dict.fromkeys(HEADERS, FORGED))
    return reply, reply.status_code == plain.status_code and body(reply).get("profiles") == body(plain).get("profiles")


def identity_in_parameters(end):
    """another identity in a parameter"""
    reply = end.ask(f"/v1/credentials?profile={NOT_A_PROFILE}&userArn={quote(FORGED, safe='')}")
    return reply, refused(reply, 400, "INVALID_REQUEST") and FORGED not in reply.text


def role_as_profile(end):
    """a role ARN as the profile"""
    reply = end.ask(f"/v1/credentials?profile={quote('arn:aws:iam::123456789012:role/admin', safe='')}")
    return reply, refused(reply, 400, "INVALID_PROFILE")


def two_profiles(end):
    """two profiles in one request"""
    reply = end.ask(f"/v1/credentials?profile={NOT_A_PROFILE}&profile={NOT_A_PROFILE}2")
    return reply, refused(reply, 400, "INVALID_REQUEST")


def body_and_query(end):
    """parameters in the body and in the query"""
    text = json.dumps({"profile": NOT_A_PROFILE})
    reply = end.ask(f"/v1/credentials?profile={NOT_A_PROFILE}", method="POST", body=text, headers={"Content-Type": "application/json"})
    return reply, refused(reply, 400, "INVALID_REQUEST")


def unknown_profile(end):
    """a profile that does not exist: the words are those for one that is forbidden"""
    reply = end.ask(f"/v1/credentials?profile={NOT_A_PROFILE}")
    return reply, refused(reply, 403, "POLICY_DENY") and "exist" not in reply.text.lower()


def injected_device(end):
    """a filter expression as the device"""
    reply = end.ask(f"/v1/credentials?device_id={quote(chr(39) + ' or 1 eq 1', safe='')}&profile={NOT_A_PROFILE}")
    return reply, refused(reply, 400, "INVALID_DEVICE")


def negative_duration(end):
    """a duration of -1, and one of a day and a half and more"""
    replies = [end.ask(f"/v1/credentials?duration={seconds}&profile={NOT_A_PROFILE}") for seconds in ("-1", "129601")]
    return replies[0], all(refused(reply, 400, "INVALID_DURATION") for reply in replies)


def too_large(end):
    """nine kilobytes of query"""
    reply = end.ask(f"/v1/credentials?profile={'a' * 9000}")
    return reply, reply.status_code in (413, 414)


def other_paths(end):
    """paths beside the documented ones"""
    replies = [end.ask(path) for path in ("/v1/credentials/", "/admin", "/v1/metrics", "/.env")]
    return replies[0], all(refused(reply, 404, "NOT_FOUND") for reply in replies)


def other_methods(end):
    """DELETE and PUT"""
    replies = [end.ask("/v1/credentials", method=method) for method in ("DELETE", "PUT")]
    return replies[0], all(refused(reply, 405, "METHOD_NOT_ALLOWED") and reply.headers.get("Allow") for reply in replies)


def forged_proof(end):
    """a caller proof that is none"""
    mode = body(end.ask("/v1/health")).get("caller_proof")
    reply = end.ask("/v1/profiles", headers={"X-Sentinel-Caller-Proof": "e30"})
    return reply, mode == "off" or refused(reply, 403, "CALLER_PROOF_INVALID")


def wrong_token(end):
    """a wrong client token: refused if one is required, and no way in if not"""
    plain = end.ask("/v1/profiles")
    reply = end.ask("/v1/profiles", headers={"X-Sentinel-Token": "0" * 64})
    return reply, refused(reply, 401, "CLIENT_TOKEN_INVALID") or reply.status_code == plain.status_code == 200


def told(end):
    """names from inside, in any of these replies"""
    leaks = [reply for reply in end.replies if INTERNAL.search(reply.text)]
    ours = [reply for reply in end.replies if "X-Request-Id" in reply.headers]
    stored = [reply for reply in ours if reply.headers.get("Cache-Control") != "no-store"]
    return (leaks or stored or end.replies)[0], bool(ours) and not leaks and not stored


ATTACKS = [
    unsigned, preflight, other_service, other_region, changed, presigned, old, identity_in_headers, identity_in_parameters,
    role_as_profile, two_profiles, body_and_query, unknown_profile, injected_device, negative_duration, too_large, other_paths,
    other_methods, forged_proof, wrong_token, told,
]


def assumed(role):
    """Tries to assume a protected role directly; what STS says."""
    try:
        account.session().client("sts").assume_role(RoleArn=role, RoleSessionName="attack")
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "credentials"


def invoked(name):
    """Tries to invoke the function with an event of one's own; what Lambda says."""
    identity = {"userArn": FORGED, "accountId": "123456789012", "userId": "AIDAEXAMPLEEXAMPLE", "accessKey": "AKIAIOSFODNN7EXAMPLE"}
    event = {"version": "2.0", "rawPath": "/v1/profiles", "requestContext": {"http": {"method": "GET"}, "authorizer": {"iam": identity}}}
    try:
        account.session().client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "an answer"


def long_session(end, profile):
    """Vends once, for twelve hours; what is granted, and whether that is at most an hour."""
    reply = end.ask(f"/v1/credentials?duration=43200&profile={profile}")
    if reply.status_code != 200:
        return reply, False
    ends = datetime.fromisoformat(body(reply)["Expiration"].replace("Z", "+00:00"))
    return reply, ends.timestamp() - time.time() <= 3660 and int(reply.headers["X-Sentinel-Granted-Seconds"]) <= 3600


def refused(reply, status, code):
    return reply.status_code == status and body(reply).get("Code") == code


def stopped_before(reply):
    """Whether AWS, and not the function, refused the request."""
    return reply.status_code == 403 and "Code" not in body(reply)


def body(reply):
    try:
        found = json.loads(reply.text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def main():
    arguments = parse_arguments()
    end = End(arguments.url, arguments.region, account.signed_in().get_credentials())
    results = []

    def report(what, seen, held):
        results.append(held)
        print(f"  {green('held ') if held else red('FAILS')}  {what:<66}  {seen}", flush=True)

    try:
        for attack in ATTACKS:
            reply, held = attack(end)
            report(attack.__doc__, outcome(reply), held)
            if reply.status_code == 429:
                sys.exit("The caller's quota is used up: wait a minute and try again.")
        if arguments.vend:
            reply, held = long_session(end, arguments.vend)
            report("a session of twelve hours", f"{outcome(reply)}, {reply.headers.get('X-Sentinel-Granted-Seconds', 'no')} seconds", held)
    except HTTPClientError as error:
        sys.exit(f"{arguments.url} cannot be reached: {error}")
    if arguments.role:
        seen = assumed(arguments.role)
        report("a protected role, assumed without the function", seen, seen == "AccessDenied")
    if arguments.function:
        seen = invoked(arguments.function)
        report("the function, invoked directly with a forged identity", seen, seen == "AccessDeniedException")
    print(f"{sum(results)} of {len(results)} attacks were stopped as they have to be.")
    sys.exit(0 if all(results) else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--region", help="the Region to sign for; the default comes from the URL, if it names one")
    parser.add_argument("--role")
    parser.add_argument("--function")
    parser.add_argument("--vend")
    arguments = parser.parse_args()
    arguments.region = arguments.region or account.region_of_url(arguments.url)
    if arguments.region is None:
        parser.error(f"the URL names no Region. {account.REGION}")
    return arguments


if __name__ == "__main__":
    main()
