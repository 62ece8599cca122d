"""`sentinel`, the client, with real AWS SDKs: through credential_process, exec and serve."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from local import client
from local.audit import audit_line, log_lines
from local.provision import REGION

REPOSITORY = Path(__file__).resolve().parents[2]
ASSUMED = "arn:aws:sts::123456789012:assumed-role/vended-development/alice@example.com-"
PROCESSES = 200


@pytest.fixture(scope="session")
def program():
    """The program, built."""
    subprocess.run(["cargo", "build", "--locked", "--package", "sentinel"], cwd=REPOSITORY, check=True)
    return str(REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "sentinel")


@pytest.fixture
def home(stack, tmp_path):
    """A user's home: the settings of the local end point, and the AWS profiles of the local callers."""
    for variable, path in stack.aws_files.items():
        target = tmp_path / ".aws" / ("config" if variable == "AWS_CONFIG_FILE" else "credentials")
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    settings = tmp_path / ".config" / "sentinel" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        f'[endpoints.local]\nurl = "{stack.url}"\nregion = "{REGION}"\naws_profile = "alice"\n', encoding="utf-8"
    )
    return tmp_path


@pytest.fixture
def environment(stack, home, monkeypatch):
    """The variables of that user's shell. boto3 in this process has the same."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return {**os.environ, "AWS_ENDPOINT_URL_STS": stack.endpoint}


@pytest.fixture
def sentinel(program, environment):
    """Runs the program."""

    def run(*arguments, code=0):
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def vends(stack):
    """How many credentials the function has issued."""
    lines = log_lines(stack.function_log)
    return sum(line.get("type") == "audit" and bool(line.get("issued_access_key_id")) for line in lines)


def python(source):
    """A command that runs Python source."""
    return [sys.executable, "-c", textwrap.dedent(source)]


def test_configured_profiles_work_in_boto3(stack, sentinel):
    written = sentinel("configure", "--prefix", "vended-", "--yes")
    assert "+ [profile vended-development]" in written.stderr

    session = boto3.Session(profile_name="vended-development")
    sts = session.client("sts", endpoint_url=stack.endpoint)
    assert sts.get_caller_identity()["Arn"].startswith(ASSUMED)
    assert session.get_credentials().method == "custom-process"


def test_the_rust_sdk_takes_credentials_from_a_credential_process(home, program, sentinel):
    # A script: the program refuses a profile whose credentials come from itself.
    script = home / "vend"
    script.write_text(f"#!/bin/sh\nexec {program} credentials development\n", encoding="utf-8")
    script.chmod(0o700)
    with open(home / ".aws" / "config", "a", encoding="utf-8") as config:
        config.write(f"\n[profile through-rust]\nregion = {REGION}\ncredential_process = {script}\n")

    identity = json.loads(sentinel("whoami", "--aws-profile", "through-rust", "--json").stdout)
    assert identity["arn"].startswith(ASSUMED)


def test_two_hundred_processes_cost_one_assume_role(stack, sentinel):
    before = vends(stack)
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = list(pool.map(lambda _: sentinel("credentials", "development").stdout, range(PROCESSES)))

    assert len(set(runs)) == 1
    credentials = client.vended(json.loads(runs[0]))
    assert client.identity(credentials, stack.endpoint).startswith(ASSUMED)
    audit_line(stack.function_log, json_request_id(stack), seconds=5)
    assert vends(stack) == before + 1


def json_request_id(stack):
    """The id of a request that is sent now: once its audit line is there, those of all earlier requests are."""
    response = client.call(stack.callers["alice"], "GET", f"{stack.url}/v1/health")
    return response.headers["x-request-id"]


def test_boto3_in_a_command_gets_new_credentials_when_the_first_expire(program, sentinel, environment):
    child = python(
        f"""
        import boto3, datetime, subprocess
        session = boto3.Session(region_name="{REGION}")
        credentials = session.get_credentials()
        print(credentials.method)
        for _ in range(3):
            print(credentials.get_frozen_credentials().access_key)
            print(session.client("sts").get_caller_identity()["Arn"])
            subprocess.run(["{program}", "forget"], check=True, stdout=subprocess.DEVNULL)
            # As far as boto3 knows, the credentials have expired.
            credentials._expiry_time = datetime.datetime.now(datetime.timezone.utc)
        """
    )
    method, *printed = sentinel("exec", "development", "--", *child).stdout.splitlines()

    assert method == "container-role"
    keys, arns = printed[::2], printed[1::2]
    assert len(set(keys)) == 3, keys
    assert all(arn.startswith(ASSUMED) for arn in arns)


def test_the_rust_sdk_in_a_command_reads_the_loopback_end_point(program, sentinel, stack):
    command = [program, "whoami", "--json", "--url", stack.url, "--region", REGION]
    identity = json.loads(sentinel("exec", "development", "--", *command).stdout)
    assert identity["arn"].startswith(ASSUMED)


def test_variables_serve_programs_that_know_nothing_else(sentinel):
    child = python('import boto3; print(boto3.client("sts").get_caller_identity()["Arn"])')
    arn = sentinel("exec", "development", "--env", "--", "env", f"AWS_DEFAULT_REGION={REGION}", *child).stdout
    assert arn.startswith(ASSUMED)


def test_boto3_reads_a_served_end_point(stack, program, environment, monkeypatch):
    serving = subprocess.Popen([program, "serve", "development"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(2):
            name, _, value = serving.stdout.readline().removeprefix("export ").strip().partition("=")
            monkeypatch.setenv(name, value)
        session = boto3.Session(region_name=REGION)
        sts = session.client("sts", endpoint_url=stack.endpoint)
        assert sts.get_caller_identity()["Arn"].startswith(ASSUMED)
        assert session.get_credentials().method == "container-role"
    finally:
        serving.terminate()
        assert serving.wait(10) == 0


def test_a_refusal_names_a_request_that_the_log_has(stack, sentinel):
    refused = sentinel("credentials", "development", "--aws-profile", "bob", code=5)
    assert refused.stdout == ""
    assert "refused (POLICY_DENY)" in refused.stderr and "sentinel explain" in refused.stderr
    request_id = refused.stderr.split("request id ")[1].split(";")[0]
    assert audit_line(stack.function_log, request_id)["code"] == "POLICY_DENY"


def test_explain_tells_what_is_missing(sentinel):
    assert "Name it with --device auto" in sentinel("explain", "customer-data", code=5).stdout
    allowed = sentinel("explain", "customer-data", "--device", "ALICE-MAC")
    assert "you would get it for" in allowed.stdout
    sentinel("credentials", "customer-data", "--device", "ALICE-MAC")


def test_profiles_and_whoami_and_doctor(sentinel):
    assert "development" in sentinel("profiles").stdout
    assert json.loads(sentinel("whoami", "--json").stdout)["name"] == "alice@example.com"
    checks = json.loads(sentinel("doctor", "--json").stdout)
    assert [check["check"] for check in checks if not check["ok"]] == []
