"""What a caller does: sign a request to the Function URL, and use the vended credentials."""

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.httpsession import URLLib3Session

from local.provision import REGION, Credentials


def signed_request(caller, method, url, body=None, headers=None):
    """A request, signed by botocore for a Function URL."""
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    keys = BotocoreCredentials(caller.access_key_id, caller.secret_access_key, caller.session_token)
    SigV4Auth(keys, "lambda", REGION).add_auth(request)
    return request.prepare()


def send(request, timeout=60):
    """Sends a prepared request."""
    return URLLib3Session(timeout=timeout).send(request)


def call(caller, method, url, body=None, headers=None, timeout=60):
    """Signs a request and sends it."""
    return send(signed_request(caller, method, url, body, headers), timeout)


def vended(body):
    """The credentials in a reply of the function."""
    return Credentials(body["AccessKeyId"], body["SecretAccessKey"], body["SessionToken"])


def identity(credentials, endpoint):
    """The ARN of the holder of `credentials`, as the emulator at `endpoint` reports it."""
    return credentials.client("sts", endpoint).get_caller_identity()["Arn"]
