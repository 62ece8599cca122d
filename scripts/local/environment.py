"""The environment of this process, and of every process that it starts."""

import os

from local.ports import HOST


def isolate(*prefixes):
    """Removes variables that would send a client to AWS instead of the emulator, and all that begin with one of `prefixes`."""
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
