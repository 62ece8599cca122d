"""What `make deploy` and `make deploy-sam` check before they build."""

import io
import json
import os
import subprocess
import sys
import tomllib
import zipfile

import pytest
from conftest import REPOSITORY
from local.provision import ACCOUNT, FUNCTION_ROLE, REGION, ROOT

FUNCTION_ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{FUNCTION_ROLE}"


@pytest.fixture
def check(stack):
    """Runs the check against the emulator."""

    def run(*arguments, **env):
        keys = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
        env = {**os.environ, **keys, "AWS_ENDPOINT_URL": stack.endpoint, "AWS_REGION": REGION, **env}
        command = [sys.executable, str(REPOSITORY / "scripts" / "deploy_check.py"), *map(str, arguments)]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def samconfig(tmp_path):
    return tmp_path / "samconfig.toml"


def test_a_role_that_lambda_may_assume_passes_and_the_region_is_printed(check):
    result = check("cargo-lambda", "no-such-function", FUNCTION_ROLE_ARN)
    assert (result.returncode, result.stdout) == (0, f"{REGION}\n"), result.stderr
    assert f"deploying to account {ACCOUNT}, Region {REGION}" in result.stderr


def test_security_a_first_deployment_without_a_role_stops(check):
    """
    THREAT: cargo lambda makes a role of its own. The function then vends nothing, and somebody widens that role by hand.
    PREVENTION: a first deployment needs ROLE_ARN, and the error has the commands that make the role.
    """
    result = check("cargo-lambda", "no-such-function")
    assert result.returncode != 0 and not result.stdout
    assert "deploy/permissions.yaml" in result.stderr and "make deploy ROLE_ARN=" in result.stderr


def test_a_later_deployment_needs_no_role(stack, check):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("bootstrap", "")
    ROOT.client("lambda", stack.endpoint).create_function(
        FunctionName="deployed-before", Runtime="provided.al2023", Role=FUNCTION_ROLE_ARN, Handler="bootstrap",
        Code={"ZipFile": archive.getvalue()},
    )
    assert check("cargo-lambda", "deployed-before").returncode == 0


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("sentinel-tvm-function", "is not the ARN of a role"),
        (f"arn:aws:iam::444455556666:role/{FUNCTION_ROLE}", "a role of account 444455556666"),
        (f"arn:aws:iam::{ACCOUNT}:role/no-such-role", "There is no role no-such-role"),
        (f"arn:aws:iam::{ACCOUNT}:role/vended-development", "does not trust lambda.amazonaws.com"),
    ],
)
def test_a_role_that_cannot_work_stops(check, role, why):
    result = check("cargo-lambda", "no-such-function", role)
    assert result.returncode != 0 and not result.stdout
    assert why in result.stderr


def test_credentials_that_aws_refuses_stop(check):
    result = check("cargo-lambda", "no-such-function", FUNCTION_ROLE_ARN, AWS_ACCESS_KEY_ID="AKIAUNKNOWN000000000")
    assert result.returncode != 0 and not result.stdout
    assert "Sign in with" in result.stderr


def test_sams_configuration_names_the_stack_and_the_region(check, samconfig):
    result = check("sam", samconfig, "arm64")
    assert result.returncode == 0, result.stderr
    environment = tomllib.loads(samconfig.read_text())["default"]
    everywhere = {"stack_name": "sentinel-tvm", "region": REGION, "parameter_overrides": "Architecture=arm64"}
    assert environment["global"]["parameters"] == everywhere
    assert environment["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"


def test_sams_configuration_is_the_operators_once_it_is_there(check, samconfig):
    check("sam", samconfig, "arm64")
    own = samconfig.read_text() + 'parameter_overrides = "MdmProvider=jamf"\n'
    samconfig.write_text(own)
    assert check("sam", samconfig, "arm64").returncode == 0
    assert check("sam", samconfig, "arm64", "given").returncode == 0
    assert samconfig.read_text() == own


def test_a_contradiction_with_sams_configuration_stops(check, samconfig):
    check("sam", samconfig, "arm64")
    elsewhere = check("sam", samconfig, "arm64", AWS_REGION="eu-north-1")
    assert elsewhere.returncode != 0 and f"is for Region {REGION}" in elsewhere.stderr
    other = check("sam", samconfig, "x86_64", "given")
    assert other.returncode != 0 and "ARCH=x86_64 is not what" in other.stderr
    samconfig.write_text('version = 0.1\n[default.deploy.parameters]\nresolve_s3 = true\n')
    assert "names no stack" in check("sam", samconfig, "arm64").stderr


@pytest.mark.parametrize("target", ["deploy", "deploy-sam"])
def test_nothing_is_built_before_the_check(target):
    """`make` runs each recipe as one shell that stops at the first error. The check is the first command."""
    steps = subprocess.run(["make", "--dry-run", target], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert 0 < steps.index("deploy_check.py") < steps.index("--package policy -- check") < steps.index(" build")
    assert "--guided" not in steps and "--parameter-overrides" not in steps
