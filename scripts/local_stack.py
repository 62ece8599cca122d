"""Runs the function on this machine, between a local Function URL and an AWS emulator.

    local_stack.py demo   vend once, use the credentials; show device checks, an approval, a scope and a block; stop
    local_stack.py run    vend once, use the credentials, show device checks; then serve until Ctrl-C
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from botocore.exceptions import HTTPClientError

from local.access import demonstrate_approval, demonstrate_block, demonstrate_scope, with_approvals
from local.demo import demonstrate, demonstrate_devices, print_commands
from local.environment import isolate
from local.errors import StackError
from local.ports import Ports
from local.stack import REPOSITORY, LocalStack


def main():
    """Starts the stack and shows that it vends. In mode `run`, then serves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=["run", "demo"])
    mode = parser.parse_args().mode
    _end_in_order()
    isolate()
    try:
        if mode == "run":
            run()
        else:
            demo()
    except (StackError, HTTPClientError) as error:
        sys.exit(f"\n{error}\nThe logs are in {REPOSITORY / '.local'}")
    except KeyboardInterrupt:
        print("\nstopped")


def run():
    """Shows that the starter policy vends, then serves it. A change to the policy restarts the function."""
    with LocalStack(REPOSITORY / ".local", Ports.from_env(), reload=True) as stack:
        demonstrate(stack)
        demonstrate_devices(stack)
        print(f"Logs are in {stack.state}/*.log")
        print_commands(stack)
        serve(stack)


def demo():
    """Shows what the function does, with the starter policy and one profile more."""
    with tempfile.TemporaryDirectory() as scratch:
        policy = with_approvals(REPOSITORY / "policy", Path(scratch) / "policy")
        with LocalStack(REPOSITORY / ".local", Ports.from_env(), policy=policy) as stack:
            demonstrate(stack)
            demonstrate_devices(stack)
            demonstrate_approval(stack)
            demonstrate_scope(stack)
            demonstrate_block(stack)
            print(f"Logs are in {stack.state}/*.log")


def _end_in_order():
    """Makes SIGINT, SIGTERM and SIGHUP stop the stack before this process ends. A second signal does not interrupt that."""

    def stop(number, _):
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)  # also if a shell that starts this with `&` ignores SIGINT


def serve(stack):
    """Watches the stack until Ctrl-C, or until one of its processes ends."""
    print(f"\nServing on {stack.url}. Ctrl-C stops everything.", flush=True)
    while True:
        stack.check()
        time.sleep(0.5)


if __name__ == "__main__":
    main()
