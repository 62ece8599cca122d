"""`make rollback` moves callers to another version; `make settings` and `make deploy-sam` publish a new one. A stand-in for `sam` writes
down how it was called."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY
from local.provision import REGION, ROOT
from test_function_url import function  # noqa: F401

TEMPLATE = {
    "Parameters": {name: {"Type": "String", "Default": default} for name, default in {"Release": "initial", "Mode": "memory", "Path": ""}.items()},
    "Resources": {"Named": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "Mode"}}}},
}
CONFIGURATION = """
version = 0.1
[default.global.parameters]
stack_name = "STACK"
region = "us-east-1"
parameter_overrides = "Architecture=x86_64 Path=\\"a b\\""
"""


@pytest.fixture
def run(stack, tmp_path):
    """Runs one of the scripts, in a directory of its own with a `sam` that records its arguments."""
    sam = tmp_path / "bin" / "sam"
    sam.parent.mkdir()
    sam.write_text(f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open('sam.json', 'w'))\n")
    sam.chmod(0o755)

    def run(script, *arguments, **settings):
        keys = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
        path = f"{sam.parent}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, **keys, "PATH": path, "AWS_ENDPOINT_URL": stack.endpoint, "AWS_REGION": REGION, **settings}
        command = [sys.executable, str(REPOSITORY / "scripts" / script), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def released(function):  # noqa: F811
    """A function with three versions, whose alias points at the third, and what its alias points at."""
    name, client = function
    for number in ("1", "2", "3"):
        client.update_function_configuration(FunctionName=name, Description=f"release {number}")
        assert client.publish_version(FunctionName=name, Description=f"release {number}")["Version"] == number
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="3")
    return name, lambda: client.get_alias(FunctionName=name, Name="live")["FunctionVersion"]


def test_callers_go_back_to_the_version_before_and_to_any_other(run, released):
    name, now = released
    result = run("rollback.py", name, YES="1")
    assert result.returncode == 0, result.stderr
    assert now() == "2"
    assert re.search(r"now +3 .*release 3", result.stdout) and re.search(r"next +2 .*release 2", result.stdout)

    assert run("rollback.py", name, YES="1").returncode == 0
    assert now() == "1"
    nothing = run("rollback.py", name, YES="1")
    assert nothing.returncode != 0 and "Version 1 is the first one" in nothing.stderr

    assert run("rollback.py", name, "3", YES="1").returncode == 0
    assert now() == "3"


def test_security_a_rollback_warns_before_blocks_are_lost(run, released, function):  # noqa: F811
    """
    THREAT: a rollback takes callers to a version with another table, or none: everybody who is blocked comes back, unseen.
    PREVENTION: the command compares both versions, and says so before it asks.
    """
    name, client = function
    new = {"SENTINEL_RATE_LIMIT_TABLE": "new"}
    versions = [new, {"SENTINEL_RATE_LIMIT_TABLE": "old"}, {}, new | {"SENTINEL_RATE_LIMIT_REQUESTS": "0"}, new]
    for number, variables in enumerate(versions, 4):
        client.update_function_configuration(FunctionName=name, Description=f"release {number}", Environment={"Variables": variables})
        assert client.publish_version(FunctionName=name)["Version"] == str(number)
    for target, why in {
        4: None,
        5: "version 5 has the rate-limit table old instead of new",
        6: "version 6 sees no block",
        7: "version 7 sees no block",
    }.items():
        client.update_alias(FunctionName=name, Name="live", FunctionVersion="8")
        result = run("rollback.py", name, str(target), YES="1")
        assert result.returncode == 0, result.stderr
        assert (f"WARNING: {why}" in result.stdout) if why else ("WARNING" not in result.stdout), target


@pytest.mark.parametrize(("version", "yes", "why"), [("9", "1", "There is no version 9. There are: 1, 2, 3"), ("3", "1", "already"), ("2", "", "Give YES=1")])
def test_a_rollback_that_makes_no_sense_changes_nothing(run, released, version, yes, why):
    name, now = released
    result = run("rollback.py", name, version, YES=yes)
    assert result.returncode != 0 and why in result.stderr
    assert now() == "3"


def test_a_function_without_the_alias_is_told_where_to_read(run, function):  # noqa: F811
    name, _ = function
    result = run("rollback.py", name, YES="1")
    assert result.returncode != 0 and "has no alias `live`" in result.stderr


@pytest.fixture
def deployed(stack, tmp_path, request):
    """A stack with the parameters of TEMPLATE, and SAM's configuration for it. The function: how `sam` was called."""
    name = re.sub(r"[^a-z]+", "-", request.node.name.lower())[:60]
    ROOT.client("cloudformation", stack.endpoint).create_stack(StackName=name, TemplateBody=json.dumps(TEMPLATE))
    (tmp_path / "samconfig.toml").write_text(CONFIGURATION.replace("STACK", name))
    return lambda: json.loads((tmp_path / "sam.json").read_text()) if (tmp_path / "sam.json").exists() else None


def test_a_deployment_has_a_release_of_its_own_and_the_saved_parameters(run, deployed, tmp_path):
    assert run("sam_deploy.py", "samconfig.toml", "built").returncode == 0
    command, *file, option, saved, blank, release = deployed()
    assert (command, option) == ("deploy", "--parameter-overrides")
    assert file == ["--config-file", str(tmp_path / "samconfig.toml")]
    overrides = [saved, blank]
    assert overrides == ["Architecture=x86_64", 'Path="a b"']
    assert re.fullmatch(r"Release=\d{10}-[A-Za-z0-9._-]{1,40}", release)


def test_settings_change_without_a_build(run, deployed, tmp_path):
    result = run("sam_deploy.py", "samconfig.toml", "settings", "Mode=closed", "Path=")
    assert result.returncode == 0, result.stderr
    assert "Mode: 'memory' becomes 'closed'" in result.stdout
    command, *options, release = deployed()
    # `sam` looks for its configuration beside the template, if it is not told where.
    file = ["--config-file", str(tmp_path / "samconfig.toml")]
    assert [command, *options] == ["deploy", *file, "--template-file", ".aws-sam/deployed.yaml", "--parameter-overrides", "Mode=closed", 'Path=""']
    assert release.startswith("Release=")
    assert json.loads((tmp_path / ".aws-sam" / "deployed.yaml").read_text()) == TEMPLATE


@pytest.mark.parametrize(
    ("given", "why"),
    [("Mod=closed", "has no such parameter to set: Mod. It has Mode, Path"), ("Release=1", "no such parameter to set: Release"), ("closed", "is not NAME=VALUE")],
)
def test_a_setting_that_does_not_exist_deploys_nothing(run, deployed, given, why):
    result = run("sam_deploy.py", "samconfig.toml", "settings", given)
    assert result.returncode != 0 and why in result.stderr
    assert deployed() is None
