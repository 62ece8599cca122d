"""The ports that the local stack listens on."""

import os
import socket
from dataclasses import dataclass

from local.errors import StackError

HOST = "127.0.0.1"

DEFAULTS = {
    "LOCAL_EMULATOR_PORT": 4566,
    "LOCAL_INVOKE_PORT": 9001,
    "LOCAL_URL_PORT": 9010,
}


@dataclass(frozen=True)
class Ports:
    """One port each for the emulator, for invoking the function, and for its Function URL."""

    emulator: int
    invoke: int
    url: int

    @classmethod
    def from_env(cls):
        """The ports of the environment, else the defaults. A port that is in use is replaced by a free one."""
        return cls(*(_preferred(variable) for variable in DEFAULTS))

    @classmethod
    def free(cls):
        """Any free ports."""
        return cls(*(_free() for _ in DEFAULTS))


def _preferred(variable):
    text = os.environ.get(variable, str(DEFAULTS[variable]))
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise StackError(f"{variable}={text} is not a port: set it to a number from 1 to 65535, or leave it out")
    port = int(text)
    if _is_free(port):
        return port
    other = _free()
    print(f"port {port} is in use: using {other} instead (choose one with {variable})")
    return other


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
