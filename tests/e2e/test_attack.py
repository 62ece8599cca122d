"""The attacks of `scripts/attack.py`: none gets through to this function, and the script notices an end point that lets them."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import attack
import pytest
from conftest import REPOSITORY
from local.ports import HOST
from local.provision import ACCOUNT, REGION, ROOT


def attacked(stack, url, *options, profile="alice"):
    env = {**os.environ, **stack.aws_files, "AWS_PROFILE": profile, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": stack.endpoint}
    command = [sys.executable, str(REPOSITORY / "scripts" / "attack.py"), url, *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_security_each_attack_on_the_end_point_is_stopped(stack):
    """THREAT: what the unit tests hold is lost on the way: in the front, in a header, in a setting of a deployment.
    PREVENTION: the same attacks from outside, over HTTP, with a caller's own credentials. They run on a deployed URL, too.
    """
    role = f"arn:aws:iam::{ACCOUNT}:role/vended-development"
    result = attacked(stack, stack.url, "--role", role, "--vend", "development")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("  held ") == len(attack.ATTACKS) + 2
    assert "3600 seconds" in result.stdout and "AccessDenied" in result.stdout


class Open(BaseHTTPRequestHandler):
    """An end point that gives everybody whatever they ask for, and tells what is inside."""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = json.dumps({"profiles": [self.headers.get("X-Forwarded-User")], "caller_proof": "accepted", "role": "arn:aws:iam::1:role/x"})
        self.send_response(200)
        self.send_header("X-Request-Id", "1")
        self.send_header("Content-Length", str(len(text)))
        if self.command == "OPTIONS":
            self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_PUT = do_DELETE = do_OPTIONS = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def open_url():
    server = HTTPServer((HOST, 0), Open)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_end_point_that_stops_nothing_fails_each_attack(stack, open_url):
    result = attacked(stack, open_url, "--vend", "development")
    assert result.returncode == 1
    held = [line for line in result.stdout.splitlines() if line.startswith("  held ")]
    # Not asking for a client token is no weakness.
    assert [line.split("  ")[2].strip() for line in held] == [attack.wrong_token.__doc__], result.stdout


def test_a_role_that_trusts_the_caller_is_a_finding(stack):
    iam = ROOT.client("iam", stack.endpoint)
    trust = {"Effect": "Allow", "Principal": {"AWS": stack.callers["bob"].arn}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="vended-open", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}))
    # AWS asks for no permission of a user whom the trust policy names. The emulator does.
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    iam.put_user_policy(UserName="bob", PolicyName="may", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": may}))
    try:
        result = attacked(stack, stack.url, "--role", f"arn:aws:iam::{ACCOUNT}:role/vended-open", profile="bob")
    finally:
        iam.delete_user_policy(UserName="bob", PolicyName="may")
        iam.delete_role(RoleName="vended-open")
    assert result.returncode == 1, result.stdout
    [failed] = [line for line in result.stdout.splitlines() if line.startswith("  FAILS")]
    assert "a protected role, assumed without the function" in failed and failed.endswith("  credentials")
