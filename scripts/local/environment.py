"""This process's environment, and that of all it starts."""

import os

from local.ports import HOST


def isolate(*prefixes):
    """Forgets what would lead a client past the emulator, and all variables that begin with one of `prefixes`."""
    for name in list(os.environ):
        if name.startswith(("AWS_", *prefixes)):
            del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY=HOST,
        no_proxy=HOST,
    )
