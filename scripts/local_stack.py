"""Runs the function on this machine, between a local Function URL and an AWS emulator.

    local_stack.py demo   vend once, use the credentials, and stop
    local_stack.py run    the same, then serve until Ctrl-C
"""

import argparse
import signal
import sys
import time

from botocore.exceptions import HTTPClientError

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
        with LocalStack(REPOSITORY / ".local", Ports.from_env(), reload=mode == "run") as stack:
            demonstrate(stack)
            demonstrate_devices(stack)
            print(f"Logs are in {stack.state}/*.log")
            if mode == "run":
                print_commands(stack)
                serve(stack)
    except (StackError, HTTPClientError) as error:
        sys.exit(f"\n{error}\nThe logs are in {REPOSITORY / '.local'}")
    except KeyboardInterrupt:
        print("\nstopped")


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
