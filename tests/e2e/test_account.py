"""How the scripts find credentials and a Region, and what they say if they do not."""

import os
import subprocess
import sys

import account
import pytest
from botocore import exceptions
from conftest import REPOSITORY
from local.provision import REGION, ROOT

SCRIPTS = REPOSITORY / "scripts"
KEYS = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
# Each script that calls AWS, with arguments and settings that bring it as far as its first call.
CALLS = {
    "policy_push.py": (["policy", "/sentinel/policy"], {}),
    "function_url.py": (["sentinel-tvm"], {}),
    "deploy_check.py": (["cargo-lambda", "sentinel-tvm"], {}),
    "block.py": (["on"], {"WHO": "arn:aws:iam::123456789012:user/alice", "REASON": "a test"}),
    "revoke.py": (["end"], {"WHO": "sentinel-alice", "BEFORE": "now", "ROLES": "vended-development"}),
}


def run(script, *arguments, **env):
    """A script, with no AWS setting but those given."""
    files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env={**kept, **files, **env}, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("script", CALLS)
def test_a_missing_region_is_an_error_with_its_remedy(script):
    arguments, settings = CALLS[script]
    result = run(script, *arguments, **settings, **KEYS)
    assert result.returncode != 0
    assert "There is no AWS Region. Set AWS_REGION" in result.stderr


@pytest.mark.parametrize("script", CALLS)
def test_missing_credentials_are_an_error_with_its_remedy(script):
    arguments, settings = CALLS[script]
    result = run(script, *arguments, **settings, AWS_REGION=REGION)
    assert result.returncode != 0
    assert "There are no AWS credentials. Sign in with" in result.stderr


def test_aws_region_alone_is_enough(stack):
    """The command of docs/policy.md, as it stands there."""
    result = run("policy_push.py", str(stack.policy), "/region/test", AWS_ENDPOINT_URL=stack.endpoint, AWS_REGION=REGION, **KEYS)
    assert result.returncode == 0, result.stderr
    assert "new     /region/test/profiles" in result.stdout


def test_the_region_is_found_in_the_order_of_the_aws_cli(tmp_path, monkeypatch):
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-3\n")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**KEYS, "AWS_CONFIG_FILE": str(config)}.items():
        monkeypatch.setenv(name, value)
    assert account.session().region_name == "eu-west-3"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert account.session().region_name == "eu-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert account.session().region_name == "eu-west-1"


def test_an_unknown_profile_is_an_error_with_its_remedy():
    result = run("function_url.py", "sentinel-tvm", AWS_PROFILE="nobody", AWS_REGION=REGION)
    assert "nobody" in result.stderr and "list-profiles" in result.stderr


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (exceptions.ClientError({"Error": {"Code": "ExpiredToken"}}, "GetCallerIdentity"), "have expired. Sign in"),
        (exceptions.ClientError({"Error": {"Code": "InvalidClientTokenId"}}, "GetCallerIdentity"), "does not accept these credentials"),
        (exceptions.ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutParameter"), "lack this permission"),
        (exceptions.SSOTokenLoadError(error_msg="no token"), "aws sso login"),
        (exceptions.LoginTokenLoadError(error_msg="no token"), "aws login"),
        (exceptions.NoRegionError(), "Set AWS_REGION"),
        (exceptions.EndpointConnectionError(endpoint_url="https://sts.no-where-1.amazonaws.com"), "Region's name"),
    ],
)
def test_an_error_of_aws_has_its_remedy(error, remedy):
    assert remedy in account.explain(error)


def test_a_push_that_wrote_nothing_says_so():
    """A port where nothing listens stands for an unreachable Parameter Store."""
    result = run("policy_push.py", "policy", "/region/test", AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_REGION=REGION, **KEYS)
    assert result.returncode != 0
    assert "Nothing was pushed" in result.stderr and "run it again" not in result.stderr
