"""The whole stack. Its parts start in order, are watched, and stop in reverse order."""

import fcntl
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

from botocore.exceptions import ClientError, HTTPClientError

from local import client, files
from local.errors import StackError
from local.mdm import StandInJamf
from local.ports import HOST
from local.processes import Process
from local.provision import ACCOUNT, GRANTS, MDM_TOKEN, POLICY_PARAMETER, REGION, ROOT, TABLE, provision

REPOSITORY = Path(__file__).resolve().parents[2]
VENV = REPOSITORY / ".venv"
CLIENT_BIN = VENV / "client" / "bin"
EMULATOR = VENV / "emulator" / "bin" / "ministack"
FUNCTION = "sentinel-tvm"
# A line of the Function URL's log about a request that it did not pass on, or got no reply for.
REFUSAL = re.compile(r"local-url: [0-9a-f-]{36} \d{3} ")
URL = "local-url"


class LocalStack:
    """A context manager. Inside it, everything runs, and `callers` can request credentials at `url`."""

    def __init__(self, state, ports, policy=REPOSITORY / "policy", settings=None, reload=False):
        self.state = state
        self.endpoint = f"http://{HOST}:{ports.emulator}"
        self.url = f"http://{HOST}:{ports.url}"
        self._ports = ports
        self.policy = policy
        self._settings = settings or {}
        self._reload = reload
        self._processes = []
        self._function_lines = Tail(self.function_log)
        self._url_lines = Tail(self.state / "url.log")
        self._function_state = "serving"
        self._cleanup = ExitStack()

    def __enter__(self):
        with ExitStack() as cleanup:
            self._cleanup = cleanup
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            cleanup.enter_context(self._lock())
            _say("building the function and its Function URL (the first build takes some minutes)")
            _build()
            _say(f"starting the AWS emulator on {self.endpoint}")
            self._start_emulator()
            self.mdm = cleanup.enter_context(StandInJamf(MDM_TOKEN))
            self._write_files()
            _say(f"starting the function, and its Function URL on {self.url}")
            self._start_function()
            self._start_url()
            self._wait_for_function()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_):
        self._cleanup.close()

    @property
    def callers(self):
        """The callers whose keys the Function URL accepts, by name."""
        return {"alice": self.provisioned.alice, "bob": self.provisioned.bob}

    @property
    def function_log(self):
        """The log of the function."""
        return self.state / "function.log"

    @property
    def aws_files(self):
        """The variables that make AWS clients use the local profiles."""
        aws = self.state / "aws"
        return {
            "AWS_CONFIG_FILE": str(aws / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(aws / "credentials"),
        }

    @property
    def environment_file(self):
        """The shell variables of somebody who works with the local stack."""
        return self.state / "env"

    @property
    def policy_parameter(self):
        """The path of the policy in Parameter Store; None if the function reads the directory."""
        return {**os.environ, **self._settings}.get("SENTINEL_POLICY_PARAMETER")

    def awscurl(self, caller, path):
        """The command, as a list of words, with which `caller` requests `path`."""
        # Not `--profile`: awscurl reads that from ~/.aws/credentials only.
        program = ["env", f"AWS_PROFILE={caller}", str(CLIENT_BIN / "awscurl")]
        return [*program, "--service", "lambda", "--region", REGION, "--fail-with-body", f"{self.url}{path}"]

    def push_policy(self, directory, path=POLICY_PARAMETER):
        """Writes a bundle to Parameter Store with `policy_push.py`, as an operator does."""
        root = {"AWS_ACCESS_KEY_ID": ROOT.access_key_id, "AWS_SECRET_ACCESS_KEY": ROOT.secret_access_key}
        env = {**os.environ, **root, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.endpoint}
        program = [str(CLIENT_BIN / "python"), str(REPOSITORY / "scripts" / "policy_push.py")]
        pushed = subprocess.run([*program, str(directory), path], env=env, capture_output=True, text=True)
        if pushed.returncode:
            raise StackError(f"the policy could not be pushed: {pushed.stderr}")
        return pushed.stdout

    def check(self):
        """Raises if a process of the stack has ended. Prints why a request was refused, and when the function serves again."""
        for process in self._processes:
            process.check()
        for line in self._url_lines.new():
            if REFUSAL.match(line):
                print(f"  {line.rstrip()}", flush=True)
        for line in self._function_lines.new():
            if '"the start failed' in line:
                self._broken("did not restart", json.loads(line)["problems"])
            elif line.startswith("error: could not compile"):
                self._broken("does not compile", f"see {self.function_log}")
            elif self._function_state == "broken" and "Running `" in line:
                self._function_state = "restarting"
        if self._function_state == "restarting" and self._serves():
            self._function_state = "serving"
            print("\nThe function serves again.\n", flush=True)

    def _broken(self, what, why):
        self._function_state = "broken"
        print(f"\nThe function {what}. Each request gets a 502 until you fix this:\n{why}\n", flush=True)

    def _serves(self):
        """Whether the function replies. Before that, the URL replies 502 itself."""
        with suppress(HTTPClientError):
            return client.call(self.provisioned.alice, "GET", f"{self.url}/v1/health", timeout=5).status_code != 502
        return False

    def _lock(self):
        """Locks the state directory: two stacks cannot share it."""
        lock = open(self.state / "lock", "w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(f"a local stack is already running, with its state in {self.state}: stop it first") from error
        return lock

    def _start(self, name, command, env, remedy):
        log = self.state / f"{name}.log"
        process = Process(name, command, {**os.environ, **env}, REPOSITORY, log, remedy)
        self._cleanup.callback(process.stop)
        self._processes.append(process)
        return process

    def _start_emulator(self):
        env = {
            "AUTH": "true",
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self._ports.emulator),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }
        remedy = "If the log does not show the cause: `make clean-venv`, then run again."
        emulator = self._start("emulator", [str(EMULATOR)], env, remedy)
        emulator.wait_until(lambda: _is_healthy(f"{self.endpoint}/_ministack/health"), 30)
        try:
            self.provisioned = provision(self.endpoint)
        except ClientError as error:
            raise emulator.failure(f"could not be provisioned: {error}") from error

    def _start_function(self):
        function = self.provisioned.function
        if self.policy_parameter:
            self.push_policy(self.policy, self.policy_parameter)
        env = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": function.access_key_id,
            "AWS_SECRET_ACCESS_KEY": function.secret_access_key,
            "AWS_SESSION_TOKEN": function.session_token,
            "SENTINEL_POLICY_DIR": str(self.policy),
            "SENTINEL_RATE_LIMIT_TABLE": TABLE,
            "SENTINEL_GRANTS_TABLE": GRANTS,
            "SENTINEL_MDM_PROVIDER": "jamf",
            "SENTINEL_MDM_BASE_URL": self.mdm.url,
            "MDM_SECRET_ARN": self.provisioned.mdm_secret,
            **self._settings,
        }
        command = [str(CLIENT_BIN / "cargo-lambda"), "lambda", "watch", "--wait"]
        command += ["--invoke-address", HOST, "--invoke-port", str(self._ports.invoke)]
        if not self._reload:
            command.append("--ignore-changes")
        self._function = self._start("function", command, env, "Fix the errors in the log and run again.")
        self._publish("invoke-port", str(self._ports.invoke))

    def _start_url(self):
        invocations = f"2015-03-31/functions/{FUNCTION}/invocations"
        env = {
            "LISTEN": f"{HOST}:{self._ports.url}",
            "KEYS": str(self.state / "keys.json"),
            "REGION": REGION,
            "FUNCTION_LOG": str(self.function_log),
            "INVOKE_URL": f"http://{HOST}:{self._ports.invoke}/{invocations}",
        }
        program = _target_directory() / "debug" / URL
        url = self._start("url", [str(program)], env, "Fix the errors in the log and run again.")
        url.wait_until(lambda: _listens(self._ports.url), 10)
        self._publish("url", self.url)

    def _publish(self, name, text):
        """Writes a file for other targets of the Makefile. It is removed when the stack stops."""
        files.write_private(self.state / name, text)
        self._cleanup.callback((self.state / name).unlink, missing_ok=True)

    def _wait_for_function(self):
        """Waits for the function's first reply."""
        self._function.wait_until(lambda: _listens(self._ports.invoke), 60)
        first = Thread(target=self._first_request, daemon=True)
        first.start()

        def answered():
            # cargo lambda keeps running when the function ends. Its log shows that.
            if "command exited" in self.function_log.read_text(errors="replace"):
                raise self._function.failure("stopped at its start")
            return not first.is_alive()

        self._function.wait_until(answered, 300)

    def _first_request(self):
        """Sends requests until the function replies. Before that, the URL replies 502 itself."""
        with suppress(HTTPClientError):
            while client.call(self.provisioned.alice, "GET", f"{self.url}/v1/health").status_code == 502:
                time.sleep(0.1)

    def _write_files(self):
        files.write_keys(self.state / "keys.json", self.callers.values())
        vend = shlex.join(self.awscurl("alice", "/v1/credentials?profile=development"))
        profiles = {**self.callers, "root": ROOT}
        files.write_aws_config(self.state / "aws", profiles, self.endpoint, vend)
        variables = {**self.aws_files, "AWS_PROFILE": "alice", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "FUNCTION_URL": self.url}
        files.write_environment(self.environment_file, variables, CLIENT_BIN)


class Tail:
    """The lines that a growing file has gained since the last call."""

    def __init__(self, path):
        self._path = path
        self._offset = 0

    def new(self):
        """The new lines, but for one that is not complete yet."""
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            lines = [line for line in file if line.endswith(b"\n")]
        self._offset += sum(map(len, lines))
        return [line.decode(errors="replace") for line in lines]


def _say(text):
    print(f"-- {text}", flush=True)


def _target_directory():
    """The directory of cargo's build output."""
    return REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")


def _build():
    """Builds the function and its Function URL. Shows cargo's output, because a first build takes minutes."""
    if not shutil.which("cargo"):
        raise StackError("cargo is not installed: install Rust from https://rustup.rs and run again")
    command = ["cargo", "build", "--locked", "--package", FUNCTION, "--package", URL]
    if subprocess.run(command, cwd=REPOSITORY).returncode:
        raise StackError(f"`{' '.join(command)}` failed: fix the errors above and run again")


def _is_healthy(url):
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except OSError:
        return False
    return True


def _listens(port):
    try:
        socket.create_connection((HOST, port), timeout=2).close()
    except OSError:
        return False
    return True
