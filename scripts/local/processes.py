"""The stack's processes. Each logs to a file, is watched, and ends together with its process group."""

import os
import signal
import subprocess
import time
from collections import deque

from local.errors import StackError

GRACE_SECONDS = 10


class Process:
    """A running program, its log, and what to do if it ends."""

    def __init__(self, name, command, env, directory, log, remedy):
        self.name = name
        self.log = log
        self._remedy = remedy
        with open(log, "wb") as output:
            try:
                self._popen = subprocess.Popen(
                    command,
                    env=env,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise StackError(f"cannot start {name}: {error}. {remedy}") from error

    def check(self):
        """Raises if the process has ended."""
        if self._popen.poll() is not None:
            raise self.failure(f"ended with status {self._popen.returncode}")

    def wait_until(self, ready, seconds):
        """Waits until `ready()` is true. Raises if the process ends, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {seconds} seconds")
            time.sleep(0.1)

    def failure(self, what):
        """The error for `what` went wrong, with the end of the log and the remedy."""
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            tail = "".join(f"    {line}" for line in deque(lines, 15))
        return StackError(f"{self.name} {what}. The end of {self.log}:\n{tail}{self._remedy}")

    def stop(self):
        """Ends the process, and every process in its group."""
        self._signal(signal.SIGTERM)
        try:
            self._popen.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._popen.wait()

    def _signal(self, number):
        try:
            os.killpg(self._popen.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # the whole group has ended
