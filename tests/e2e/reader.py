"""A reader of the documents, who runs their commands as they stand, in a clone of their own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "docs"))

import test_docs as documents  # noqa: E402
from local.ports import HOST, Ports  # noqa: E402
from local.provision import ACCOUNT  # noqa: E402

# The path is always the same: cargo then builds the clone's crates once, not in each run.
CLONE = REPOSITORY / "target" / "reader"
NOT_CLONED = shutil.ignore_patterns(".git", ".venv", ".local", ".aws-sam", ".pytest_cache", "__pycache__", "target", "samconfig.toml")
BUILT = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
# The last is where `sentinel` is, which a reader installs.
TOOLS = [*(REPOSITORY / ".venv" / name / "bin" for name in ("client", "aws")), BUILT / "debug"]
# What the blocks call beside the tools of this repository.
PROGRAMS = ["curl", "jq", "openssl", "perl", "sed"]
# What is done in the place of `make deploy-sam`, which needs a real account.
DEPLOYMENT = """
aws cloudformation deploy --stack-name sentinel-tvm --template-file deploy/permissions.yaml --capabilities CAPABILITY_IAM
python3 -c "import zipfile; zipfile.ZipFile('function.zip', 'w').writestr('bootstrap', '')"
aws lambda create-function --function-name sentinel-tvm --runtime provided.al2023 --handler bootstrap \\
  --zip-file fileb://function.zip --role "$(output FunctionRoleArn)" \\
  --environment "Variables={SENTINEL_RATE_LIMIT_TABLE=$(output RateLimitTableName)}" >function.json
aws lambda publish-version --function-name sentinel-tvm >version.json
aws lambda create-alias --function-name sentinel-tvm --name live --function-version 1 >alias.json
aws lambda create-function-url-config --function-name sentinel-tvm --qualifier live --auth-type AWS_IAM >url.json
"""
# What an environment needs done right before the block.
BEFORE = {
    "emulated account, after its table was deleted": 'aws dynamodb delete-table --table-name "$(output RateLimitTableName)" >table.json',
    "emulated account, with two versions": """
for number in 2 3; do
  aws lambda update-function-configuration --function-name sentinel-tvm --description "release $number" >configuration.json
  aws lambda publish-version --function-name sentinel-tvm >version.json
done
aws lambda update-alias --function-name sentinel-tvm --name live --function-version 2 >alias.json
""",
}


def blocks(path, *environments):
    """The blocks of a page that are run in one of these environments: line, environment and commands. Also `make deploy-sam`."""
    found = []
    for line, language, marker, quoted in documents.fences(path):
        text = "\n".join(documents.dedented(quoted))
        if marker and marker["kind"] == "run" and marker["what"] in environments:
            found.append((line, marker["what"], f"python3 - <<'PYTHON'\n{text}\nPYTHON" if language == "python" else text))
        elif marker and "the test deploys deploy/permissions.yaml in its place" in marker["what"] and "emulated account" in environments:
            assert text == "make deploy-sam"
            found.append((line, "emulated account", DEPLOYMENT))
    return found


def pages(*environments):
    return [path for path in documents.DOCUMENTS if blocks(path, *environments)]


def clone():
    """A copy of the repository with its own policy/ and .local/. It shares what is installed and built."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip(f"the documents' commands need {', '.join(missing)}")
    shutil.rmtree(CLONE, ignore_errors=True)
    shutil.copytree(REPOSITORY, CLONE, ignore=NOT_CLONED)
    (CLONE / ".venv").symlink_to(REPOSITORY / ".venv")
    subprocess.run(["cargo", "build", "--locked", "--package", "sentinel"], cwd=REPOSITORY, check=True)
    editor = CLONE / "type"
    editor.write_text("#!/bin/sh\nprintf typed-by-the-reader >\"$1\"\n", encoding="utf-8")
    editor.chmod(0o755)


def restore_policy():
    """Takes back what a page did to the policy. Touches nothing else: each change restarts the function."""
    policy, original = CLONE / "policy", REPOSITORY / "policy"
    for changed in policy.iterdir():
        if not (original / changed.name).exists():
            changed.unlink()
    for file in original.iterdir():
        if not (policy / file.name).exists() or (policy / file.name).read_bytes() != file.read_bytes():
            shutil.copy2(file, policy)


def environment(**more):
    """A reader's environment: none of the developer's AWS settings, the tools of this repository, and an editor that types."""
    foreign = ("AWS_", "SENTINEL_", "MDM_", "MAKE", "MFLAGS")  # the last two are those of `make e2e`
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = os.pathsep.join([*map(str, TOOLS), os.environ["PATH"]])
    own = {"PATH": path, "CARGO_TARGET_DIR": str(BUILT), "EDITOR": str(CLONE / "type"), "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}
    own["XDG_CACHE_HOME"] = str(CLONE / ".local" / "cache")
    return {**kept, **own, **more}


def run(found, prelude, env):
    """Runs blocks one after the other in one shell. Fails with the first command that fails."""
    script = ["set -euo pipefail", prelude]
    for line, where, text in found:
        # The local stack's reader is alice, unless the page says otherwise.
        script += [f"echo '### line {line}' >&2", BEFORE.get(where, ""), "export AWS_PROFILE=root" if where.endswith("as root") else "", text]
        script += ["export AWS_PROFILE=alice"] if where.endswith("as root") else []
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=CLONE, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        pytest.fail(f"the block of the last line below failed with status {done.returncode}\n{done.stderr[-4000:]}\n{done.stdout[-2000:]}")
    return done.stdout


class LocalRun:
    """`make run`, as the README has it, in the clone."""

    @property
    def starts(self):
        """How often the function has been started."""
        return (CLONE / ".local" / "function.log").read_text(errors="replace").count("Running `")

    def __init__(self):
        [(_, _, command)] = blocks("README.md", "local stack, in the background")
        ports = Ports.free()
        env = environment(
            LOCAL_EMULATOR_PORT=str(ports.emulator), LOCAL_INVOKE_PORT=str(ports.invoke), LOCAL_URL_PORT=str(ports.url), PYTHONUNBUFFERED="1"
        )
        self._terminal = CLONE / "terminal.txt"
        self._log = open(self._terminal, "w", encoding="utf-8")
        self._process = subprocess.Popen(
            ["bash", "-c", command], cwd=CLONE, env=env, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self):
        try:
            self.wait_for("Serving on ", 900)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(60)
        self._log.close()

    @property
    def terminal(self):
        """What `make run` has printed."""
        return self._terminal.read_text(encoding="utf-8")

    def wait_for(self, text, seconds=60):
        """Waits until the terminal shows the text."""
        deadline = time.monotonic() + seconds
        while text not in self.terminal:
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"`make run` has not printed {text!r}:\n{self.terminal[-3000:]}")
            time.sleep(0.1)


class Account:
    """An empty AWS account in a second emulator, for an administrator."""

    def __init__(self, state):
        self._port = Ports.free().emulator
        settings = {
            "AUTH": "true", "BIND_HOST": HOST, "GATEWAY_PORT": str(self._port), "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": "eu-central-1", "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0",
        }
        program = REPOSITORY / ".venv" / "emulator" / "bin" / "ministack"
        self._log = open(state / "account.log", "w", encoding="utf-8")
        self._process = subprocess.Popen([program], env={**os.environ, **settings}, stdout=self._log, stderr=subprocess.STDOUT)

    def __enter__(self):
        from local.stack import _listens

        deadline = time.monotonic() + 30
        while not _listens(self._port):
            assert time.monotonic() < deadline and self._process.poll() is None, "the emulator does not start"
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    @property
    def environment(self):
        """The variables of its administrator. AWS_DEFAULT_REGION is for the AWS CLI of PyPI: version 1 does not read AWS_REGION."""
        return environment(
            AWS_ENDPOINT_URL=f"http://{HOST}:{self._port}", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
            AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_DEFAULT_REGION="eu-central-1",
        )
