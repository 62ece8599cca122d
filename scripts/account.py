"""The AWS account that a script works on: its credentials and its Region, found as the AWS CLI finds them.

AWS_REGION wins over AWS_DEFAULT_REGION, which wins over the Region of the profile. boto3 alone does not read AWS_REGION.
"""

import os
import re
import sys
from urllib.parse import urlsplit

import boto3
from botocore import exceptions

# The commands that sign in, in the order in which most people need them.
SIGN_IN = "Sign in with `aws sso login` or `aws login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
REGION = "Set AWS_REGION, as in `export AWS_REGION=eu-central-1`, or a Region in the profile: `aws configure set region eu-central-1`."

# AWS's codes for credentials that do not work (any more).
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
INVALID = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "InvalidSignatureException",
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


def region():
    """The Region of the environment; None if only the profile can name one."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def region_of_url(url):
    """The Region of a Function URL: its host names it, or the environment does, or the profile; None if nothing does."""
    named = re.search(r"\.lambda-url\.([a-z0-9-]+)\.on\.aws$", urlsplit(url).netloc)
    return named[1] if named else region() or boto3.Session().region_name


def session():
    """A boto3 session with credentials and a Region. Exits with the remedy if one of them is missing."""
    found = signed_in()
    if found.region_name is None:
        sys.exit(f"There is no AWS Region. {REGION}")
    return found


def signed_in():
    """A boto3 session with credentials, with a Region or without. Exits with the remedy if there are none."""
    try:
        found = boto3.Session(region_name=region())
        credentials = found.get_credentials()
    except exceptions.BotoCoreError as error:
        sys.exit(explain(error))
    if credentials is None:
        sys.exit(f"There are no AWS credentials. {SIGN_IN}")
    return found


def explain(error):
    """An error of boto3, with its remedy if there is one."""
    remedy = _remedy(error)
    return f"{error}\n{remedy}" if remedy else str(error)


def _remedy(error):
    if isinstance(error, exceptions.ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if code in EXPIRED:
            return f"The credentials have expired. {SIGN_IN}"
        if code in INVALID:
            return f"AWS does not accept these credentials: are they for another account or partition? {SIGN_IN}"
        if code in DENIED:
            return "The credentials work, but lack this permission. `aws sts get-caller-identity` shows whose they are."
        return ""
    if isinstance(error, exceptions.NoRegionError):
        return REGION
    if isinstance(error, exceptions.ProfileNotFound):
        return "Correct AWS_PROFILE: `aws configure list-profiles` prints the profiles that there are."
    if isinstance(error, (exceptions.SSOError, exceptions.UnauthorizedSSOTokenError, exceptions.TokenRetrievalError)):
        return "The session has ended. Sign in again with `aws sso login`."
    if isinstance(error, exceptions.LoginError):
        return "The session has ended. Sign in again with `aws login`."
    if isinstance(error, exceptions.CredentialRetrievalError):
        return "The command or service that should provide the credentials failed. Try it by hand."
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return SIGN_IN
    if isinstance(error, (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError)):
        return "Is the Region's name right, and does this machine reach AWS?"
    return ""
