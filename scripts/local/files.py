"""The local stack's files that hold keys. Only their owner can read them."""

import json
import os
import shlex

from local.provision import ACCOUNT, REGION


def write_private(path, text):
    """Writes a file that only its owner can read, from the first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def write_keys(path, callers):
    """Writes the keys that the local Function URL accepts."""
    keys = [
        {
            "access_key_id": caller.access_key_id,
            "secret_access_key": caller.secret_access_key,
            "session_token": caller.session_token,
            "user_arn": caller.arn,
            "account_id": ACCOUNT,
            "user_id": caller.user_id,
            "principal_org_id": None,
        }
        for caller in callers
    ]
    write_private(path, json.dumps(keys, indent=2))


def write_aws_config(directory, callers, endpoint, vend_command):
    """Writes an AWS config: one profile per caller, and `development`, whose credentials come from `vend_command`.

    The profile `root` administers the emulator.
    """
    config = [
        f"[profile {name}]\nregion = {REGION}\nendpoint_url = {endpoint}\n" for name in callers
    ]
    config.append(
        f"[profile development]\nregion = {REGION}\nendpoint_url = {endpoint}\n"
        f"credential_process = {vend_command}\n"
    )
    write_private(directory / "config", "\n".join(config))
    write_private(
        directory / "credentials",
        "\n".join(_credentials_section(name, caller) for name, caller in callers.items()),
    )


def write_environment(path, variables, programs):
    """Writes the variables as shell code, with the directory of `programs` first in PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    # The emulator knows neither these keys nor this session.
    lines.append("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_ENDPOINT_URL")
    lines.append(f"export PATH={shlex.quote(str(programs))}:$PATH")
    write_private(path, "".join(f"{line}\n" for line in lines))


def _credentials_section(name, caller):
    section = (
        f"[{name}]\naws_access_key_id = {caller.access_key_id}\n"
        f"aws_secret_access_key = {caller.secret_access_key}\n"
    )
    if caller.session_token:
        section += f"aws_session_token = {caller.session_token}\n"
    return section
