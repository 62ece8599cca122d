"""What real AWS clients make of the function's answer."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import pytest

from local import client

VEND = "/v1/credentials?profile=development"
ASSUMED = "arn:aws:sts::123456789012:assumed-role/vended-development/alice@example.com-"


@pytest.fixture
def aws_files(stack, monkeypatch):
    """The local profiles, as a user has them."""
    for name, path in stack.aws_files.items():
        monkeypatch.setenv(name, path)


@pytest.fixture
def signing_proxy(stack):
    """An agent on the caller's machine that signs for programs which only know the container convention."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self):
            response = client.call(stack.callers["alice"], "GET", f"{stack.url}{VEND}")
            self.send_response(response.status_code)
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def awscurl(stack, path, *options):
    """The body that awscurl prints."""
    command = [*stack.awscurl("alice", path), *options]
    environment = {**os.environ, **stack.aws_files}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_boto3_takes_credentials_from_a_credential_process(aws_files):
    session = boto3.Session(profile_name="development")

    assert session.client("sts").get_caller_identity()["Arn"].startswith(ASSUMED)
    assert session.get_credentials().method == "custom-process"


def test_boto3_takes_credentials_as_a_container_does(stack, signing_proxy, monkeypatch):
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", signing_proxy)
    session = boto3.Session(region_name="us-east-1")
    sts = session.client("sts", endpoint_url=stack.endpoint)

    assert sts.get_caller_identity()["Arn"].startswith(ASSUMED)
    assert session.get_credentials().method == "container-role"


def test_awscurl_vends_by_get(stack):
    body = awscurl(stack, VEND)

    assert client.identity(client.vended(body), stack.endpoint).startswith(ASSUMED)


def test_awscurl_vends_by_post(stack):
    request = json.dumps({"profile": "development", "duration": 1800})
    body = awscurl(
        stack, "/v1/credentials", "-X", "POST", "-d", request, "-H", "Content-Type: application/json"
    )

    assert client.identity(client.vended(body), stack.endpoint).startswith(ASSUMED)


def test_a_request_signed_with_botocore_vends(stack, call):
    response = call("GET", VEND)

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    credentials = client.vended(json.loads(response.text))
    assert client.identity(credentials, stack.endpoint).startswith(ASSUMED)
