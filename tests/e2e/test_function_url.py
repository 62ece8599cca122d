"""What `make deploy` does after cargo lambda: a Function URL for signed requests only, or none."""

import io
import os
import subprocess
import sys
import zipfile

import pytest

from conftest import REPOSITORY
from local.provision import ACCOUNT, REGION, ROOT


@pytest.fixture
def function(stack, request):
    """A new function on the emulator, without a URL: its name, and a client to change it."""
    client = ROOT.client("lambda", stack.endpoint)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("bootstrap", "")
    role = f"arn:aws:iam::{ACCOUNT}:role/sentinel-tvm-function"
    name = request.node.name.replace("[", "-").replace("]", "")[:60]
    code = {"ZipFile": archive.getvalue()}
    client.create_function(FunctionName=name, Runtime="provided.al2023", Role=role, Handler="bootstrap", Code=code)
    return name, client


def set_up(stack, name):
    keys = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
    env = {**os.environ, **keys, "AWS_ENDPOINT_URL": stack.endpoint, "AWS_DEFAULT_REGION": REGION}
    command = [sys.executable, str(REPOSITORY / "scripts" / "function_url.py"), name]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_the_url_demands_a_signature_and_stays(stack, function):
    name, client = function
    first, second = set_up(stack, name), set_up(stack, name)

    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert client.get_function_url_config(FunctionName=name)["AuthType"] == "AWS_IAM"


def test_security_an_open_url_is_an_error(stack, function):
    """THREAT: a URL made by another tool with AuthType NONE stays open after a deployment that looks right.
    PREVENTION: the deployment fails and tells how to close it."""
    name, client = function
    client.create_function_url_config(FunctionName=name, AuthType="NONE")

    result = set_up(stack, name)

    assert result.returncode != 0
    assert "--auth-type AWS_IAM" in result.stderr


@pytest.mark.parametrize(
    "permission",
    [
        {"Principal": "*"},
        {"Principal": "444455556666"},
        {"Principal": "apigateway.amazonaws.com"},
        {"Principal": "apigateway.amazonaws.com", "SourceArn": "arn:aws:execute-api:*:*:*"},
        {"Principal": "events.amazonaws.com", "SourceArn": "arn:aws:events:us-east-1:444455556666:rule/any"},
    ],
    ids=["everyone", "account", "any-api", "all-apis", "another-service"],
)
def test_security_a_permission_to_write_events_is_an_error(stack, function, permission):
    """THREAT: whoever may invoke the function directly, as a public permission, another account or an API of anybody's may,
    writes the event and so the caller's identity.
    PREVENTION: the deployment fails and tells how to remove the permission."""
    name, client = function
    client.add_permission(FunctionName=name, StatementId="open", Action="lambda:InvokeFunction", **permission)

    result = set_up(stack, name)

    assert result.returncode != 0
    assert "remove-permission" in result.stderr and "open" in result.stderr


def test_an_api_of_ones_own_may_stay(stack, function):
    name, client = function
    source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:abcdef1234/*"
    permission = {"Principal": "apigateway.amazonaws.com", "SourceArn": source}
    client.add_permission(FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", **permission)

    assert set_up(stack, name).returncode == 0


def test_a_missing_function_is_told(stack):
    assert "could not be set up" in set_up(stack, "no-such-function").stderr
