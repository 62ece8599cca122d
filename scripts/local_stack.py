"""Runs the function on this machine, with an AWS emulator behind it and a Function URL before it.

    local_stack.py demo   vend once, prove the credentials, and end
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
    """Starts the stack, shows that it vends, and serves if asked to."""
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
    """Makes every usual way to end this process stop the stack first."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell starts this with `&`
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def serve(stack):
    """Watches over the stack until Ctrl-C, or until a part of it dies."""
    print(f"\nServing on {stack.url}. Ctrl-C stops everything.", flush=True)
    while True:
        stack.check()
        time.sleep(0.5)


if __name__ == "__main__":
    main()
