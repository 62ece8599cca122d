"""The commands of the documents work as they stand: on the local stack, and in an account that is an emulator's.

A block says where it runs, in a comment before it: see tests/docs/test_docs.py. reader.py runs it.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time

import pytest
import reader
from local.ports import HOST

LOCAL = ("local stack", "local stack, as root")
ACCOUNT = ("emulated account", "emulated account, after its table was deleted", "emulated account, with two versions")
# What a reader of the other pages has: the straight path is behind them, and some things that exist before an incident.
BEHIND = """
aws iam create-role --role-name Developer --assume-role-policy-document \\
  '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"123456789012"}}}' >role.json
aws iam create-role --role-name AWSReservedSSO_Developer_0123456789abcdef --path /aws-reserved/sso.amazonaws.com/ \\
  --assume-role-policy-document '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"123456789012"}}}' >sso.json
aws logs create-log-group --log-group-name organization-trail
"""
SETUP = """
make policy-push PARAMETER=/sentinel/policy
aws secretsmanager create-secret --name sentinel-tvm/client-tokens --secret-string unused >secret.json
printf new-token >client-tokens
"""


@pytest.fixture(scope="module")
def clone():
    reader.clone()


@pytest.fixture(scope="module")
def served(clone):
    with reader.LocalRun() as running:
        yield running


@pytest.fixture
def local_run(served):
    """`make run` with the starter policy in force, before and after each test."""
    yield served
    reader.restore_policy()
    assert eventually(lambda: settled(served))


def settled(served):
    """Whether the function vends, and no change restarts it any more. A request during a restart is lost."""
    starts = served.starts
    time.sleep(2)
    return served.starts == starts and "AccessKeyId" in as_alice(f"{VEND} || true")


VEND = 'awscurl --service lambda --region "$AWS_REGION" "$FUNCTION_URL/v1/credentials?profile=development"'


def as_alice(text, **env):
    """Runs commands after `. .local/env`; their output."""
    return reader.run([(0, "local stack", text)], ". .local/env", reader.environment(**env))


@pytest.mark.parametrize("page", reader.pages(*ACCOUNT))
def test_the_commands_of_a_page_work_in_an_account(clone, tmp_path, page):
    """An account of its own for each page. The straight path begins in an empty one."""
    prelude = BEHIND
    if page != "docs/deployment.md":
        straight = [text for line, _, text in reader.blocks("docs/deployment.md", *ACCOUNT) if line < first_line("### Without Identity Center")]
        prelude += "\n".join(straight) + SETUP
    try:
        with reader.Account(tmp_path) as account:
            reader.run(reader.blocks(page, *ACCOUNT), prelude, account.environment)
    finally:
        reader.restore_policy()


def first_line(heading):
    return reader.documents.read("docs/deployment.md").split("\n").index(heading) + 1


@pytest.mark.parametrize("page", reader.pages(*LOCAL))
def test_the_commands_of_a_page_work_on_the_local_stack(local_run, page):
    reader.run(reader.blocks(page, *LOCAL), ". .local/env", reader.environment())


def test_a_refusal_reaches_the_user_of_a_credential_process(local_run):
    """The script of the README, as a credential_process of boto3."""
    [script] = [text for _, _, text in reader.blocks("README.md", *LOCAL) if "sentinel-credentials" in text]
    program = """
import boto3, os
url, region = os.environ["FUNCTION_URL"], os.environ["AWS_REGION"]
for profile in ("development", "production"):
    with open(os.environ["AWS_CONFIG_FILE"], "a") as config:
        config.write(f"[profile via-{profile}]\\ncredential_process = env AWS_PROFILE=alice ./sentinel-credentials {url} {region} {profile}\\n")
print(boto3.Session(profile_name="via-development").get_credentials().method)
try:
    boto3.Session(profile_name="via-production").get_credentials().access_key
except Exception as error:
    print(error)
"""
    copy = 'cp "$AWS_CONFIG_FILE" via.config; export AWS_CONFIG_FILE="$PWD/via.config"'
    shown = as_alice(f"{script}\n{copy}\npython3 - <<'PYTHON'\n{program}\nPYTHON")
    assert "custom-process" in shown
    assert "refused: " in shown and "POLICY_DENY" in shown


def test_the_recorded_trial_of_the_client_page_is_what_happens(local_run):
    """Each command of the transcript prints what the page shows, but for ids, ports, times and the reader's own paths."""
    [recorded] = [lines for _, language, _, lines in reader.documents.fences("docs/client.md") if language == "console"]
    trial = reader.CLONE / ".local" / "trial"
    # The configuration as `make run` writes it: the README's commands may have added a profile.
    config = """
mkdir -p "$HOME" .local/trial/aws
sed '/^\\[profile my-development\\]/,$d' "$AWS_CONFIG_FILE" >.local/trial/aws/config
export AWS_CONFIG_FILE="$PWD/.local/trial/aws/config" SENTINEL_CONFIG="$PWD/.local/trial/sentinel.toml"
"""
    commands = [line.removeprefix("$ ") for line in recorded if line.startswith("$ ")]
    typed = [f"echo {shlex.quote(f'$ {command}')}; {{ {command}; }} 2>&1 || echo \"[exit code $?]\"" for command in commands]
    shown = as_alice("\n".join([config, *typed]), HOME=str(trial / "home"), XDG_CACHE_HOME="")
    places = {f"{reader.BUILT}/debug": "~/sentinel-tvm/target/client", f"{trial}/home": "~", f"{trial}": "~/sentinel-tvm/.local"}
    for place, name in places.items():
        shown = shown.replace(place, name)
    assert [without_ids(line) for line in shown.rstrip().split("\n")] == [without_ids(line) for line in recorded]


def without_ids(line):
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "REQUEST", line)
    line = re.sub(r"(alice@example\.com)-[0-9a-f]{8}", r"\1-ID", line)
    return re.sub(r"(127\.0\.0\.1:|before-sentinel-)\d+", r"\1NUMBER", line)


def test_the_first_rule_of_the_policy_page_works(local_run):
    """The ten minutes of docs/policy.md: the expectation fails, then the rule meets it, and bob gets credentials."""
    page = reader.documents.fences("docs/policy.md")
    [expectation] = [quoted for _, language, _, quoted in page if language == "toml" and any("bob develops" in line for line in quoted)]
    [rule] = [quoted for _, language, _, quoted in page if language == "cedar" and any("bob-may-develop" in line for line in quoted)]
    check = "make policy-check 2>&1 || true"
    bob = f"AWS_PROFILE=bob {VEND} || true"
    append("tests.toml", expectation)
    assert "FAIL  bob develops" in as_alice(check)
    append("access.cedar", rule)
    assert "FAIL" not in as_alice(check)
    assert eventually(lambda: "AccessKeyId" in as_alice(bob))
    reader.restore_policy()
    assert eventually(lambda: "POLICY_DENY" in as_alice(bob))


def append(name, lines):
    with open(reader.CLONE / "policy" / name, "a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(reader.documents.dedented(lines)) + "\n")


def eventually(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(1)
    return False


ASK = 'awscurl --service lambda --region "$AWS_REGION" "$FUNCTION_URL/v1/health"'


def test_a_broken_bundle_is_reported_at_once_until_it_is_mended(local_run):
    append("access.cedar", ["permit (principal"])
    local_run.wait_for("The function did not restart. Each request gets a 502")
    begin = time.monotonic()
    message = json.loads(as_alice(ASK))["Message"]
    assert time.monotonic() - begin < 5
    assert re.fullmatch(r"the function does not start: access\.cedar:\d+:\d+: unexpected end of input", message)
    local_run.wait_for("502 Bad Gateway: the function does not start: access.cedar:")
    reader.restore_policy()
    local_run.wait_for("The function serves again.")
    assert "Message" not in json.loads(as_alice(ASK))


def test_the_terminal_says_why_a_signature_was_refused(local_run):
    wrong = ASK.replace('"$AWS_REGION"', "eu-north-1")
    assert json.loads(as_alice(wrong)) == {"Message": "Forbidden"}
    local_run.wait_for("403 Forbidden: signed for Region `eu-north-1`: this URL is in `us-east-1`")
    unsorted = 'get() { aws configure get "aws_$1" --profile bob; }; curl --silent --aws-sigv4 "aws:amz:$AWS_REGION:lambda" '
    unsorted += '--user "$(get access_key_id):$(get secret_access_key)x" "$FUNCTION_URL/v1/credentials?profile=development&duration=900"'
    assert json.loads(as_alice(unsorted)) == {"Message": "Forbidden"}
    local_run.wait_for("Its query is not in alphabetical order")


def test_the_terminal_promises_an_effect_of_the_directory_only_if_there_is_one(local_run):
    assert "A change to policy/ or src/ restarts the function." in local_run.terminal


def test_the_limits_of_the_served_function_are_a_table(local_run):
    # A request in flight while a change of an earlier test restarts the function is lost inside cargo lambda.
    assert eventually(lambda: all("AccessKeyId" in as_alice(f"sleep {pause}; {VEND} || true") for pause in (0, 3, 3)))
    shown = as_alice("make limits")
    assert re.search(r"sent +expected +seen\n +\d+ requests at once +\d+ × 400 MISSING_PROFILE, or more", shown) and shown.count("PASS") == 3


def test_cargo_lambda_alone_runs_the_function(local_run, tmp_path):
    """The three lines of the README. They use cargo lambda's own port."""
    if listens(9000):
        pytest.skip("port 9000 is in use")
    [(_, _, serve)] = reader.blocks("README.md", "cargo lambda alone, in the background")
    [(_, _, send)] = reader.blocks("README.md", "cargo lambda alone")
    assert len(f"{serve}\n{send}".splitlines()) == 3
    with open(tmp_path / "watch.txt", "w", encoding="utf-8") as log:
        watch = subprocess.Popen(
            ["bash", "-c", serve], cwd=reader.CLONE, env=reader.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            assert eventually(lambda: listens(9000))
            shown = reader.run([(0, "cargo lambda alone", send)], "", reader.environment())
        finally:
            os.killpg(watch.pid, signal.SIGTERM)
            watch.wait(30)
    assert '\\"Code\\":\\"POLICY_DENY\\"' in shown


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
