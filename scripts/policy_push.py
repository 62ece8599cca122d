"""Checks a policy bundle and writes it to SSM Parameter Store. Running functions apply it within their TTL.

usage: policy_push.py DIRECTORY PATH [KEY]

PATH is the function's SENTINEL_POLICY_PARAMETER. KEY is the id, ARN or alias of a KMS key: the parameters are then SecureStrings
under that key. Give KEY at every push. Credentials and Region are found as the AWS CLI finds them. They need
ssm:GetParametersByPath, ssm:PutParameter and ssm:DeleteParameter below PATH.

The parameters are written one by one, the digest of the whole bundle first. A function that reads in between finds a mixture that
does not match the digest, and keeps its old bundle.
"""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

import account

REPOSITORY = Path(__file__).resolve().parents[1]
DIGEST = "digest"
OURS = re.compile(r"digest|profiles(/.+)?|policies/.+")
# The most bytes in a standard parameter. Standard parameters are free, advanced ones are not.
STANDARD = 4096


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    directory, path, *key = arguments
    ssm = account.session().client("ssm")
    wanted = checked(directory, path)
    try:
        there = current(ssm, path)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Nothing was pushed. Parameter Store: {account.explain(error)}")
    try:
        push(ssm, path, wanted, there, *key)
    except (BotoCoreError, ClientError) as error:
        sys.exit(
            f"Parameter Store: {account.explain(error)}\n"
            "The push is not complete: run it again. Until the digest matches the parameters, functions keep their old policy."
        )


def checked(directory, path):
    """The bundle as parameters, by their names below the path. Exits if the bundle or the path is not valid."""
    policy = ["cargo", "run", "--quiet", "--locked", "--package", "policy", "--"]
    command = [*policy, "parameters", str(Path(directory).resolve()), path]
    check = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if check.returncode:
        sys.exit("Nothing was pushed: fix the errors above.")
    return json.loads(check.stdout)


def push(ssm, path, wanted, there, key=None):
    """Makes the parameters below `path`, which are `there`, equal to `wanted`."""
    strangers = sorted(name for name in there if not OURS.fullmatch(name))
    if strangers:
        sys.exit(
            f"Below {path} are parameters that are not part of a policy: {', '.join(strangers)}. "
            "Is it the right path? Nothing was pushed."
        )
    changed = [name for name in wanted if wanted[name] != there.get(name)]
    stale = sorted(set(there) - set(wanted))
    for name in sorted(changed, key=lambda name: name != DIGEST):
        put(ssm, f"{path}/{name}", wanted[name], new=name not in there, key=key)
        print(f"  {'changed' if name in there else 'new':<8}{path}/{name}")
    for name in stale:
        ssm.delete_parameter(Name=f"{path}/{name}")
        print(f"  deleted {path}/{name}")
    if not changed and not stale:
        print(f"  nothing to change below {path}")
    print(f"digest {wanted[DIGEST]}: within their TTL, functions show it in the audit line (policy_digest) and in /v1/health")


def current(ssm, path):
    """The parameters below `path`, by their names below it."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
    return {item["Name"].removeprefix(f"{path}/"): item["Value"] for page in pages for item in page["Parameters"]}


def put(ssm, name, text, new, key):
    """Writes one parameter. Without a key, an existing parameter keeps its type. An advanced parameter stays advanced."""
    kind = {"Type": "SecureString", "KeyId": key} if key else {"Type": "String"} if new else {}
    write = partial(ssm.put_parameter, Name=name, Value=text, Overwrite=not new, **kind)
    if len(text.encode()) > STANDARD:
        write(Tier="Advanced")
        return
    try:
        write(Tier="Standard")
    except ssm.exceptions.ClientError as error:
        if new or error.response["Error"]["Code"] != "ValidationException":
            raise
        write(Tier="Advanced")


if __name__ == "__main__":
    main(sys.argv[1:])
