"""Checks a policy bundle and writes it to SSM Parameter Store, from where running functions take it within their TTL.

usage: policy_push.py DIRECTORY PATH [KEY]

PATH is what the function has in SENTINEL_POLICY_PARAMETER. With KEY, the id, ARN or alias of a KMS key, parameters are
SecureStrings under it; give it every time. Credentials and region are those of the environment; they need ssm:GetParametersByPath, ssm:PutParameter and
ssm:DeleteParameter below PATH.

Parameters are written one by one. The digest of the whole goes first, so that a function which reads in between sees that it has a
mixture, and stays with the bundle it has.
"""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

REPOSITORY = Path(__file__).resolve().parents[1]
DIGEST = "digest"
OURS = re.compile(r"digest|profiles(/.+)?|policies/.+")
# The bytes of a standard parameter, which is free. An advanced one is not.
STANDARD = 4096


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    directory, path, *key = arguments
    wanted = checked(directory, path)
    try:
        push(boto3.client("ssm"), path, wanted, *key)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Parameter Store: {error}\nRun it again: as long as the digest is not that of the rest, functions stay with what they have.")


def checked(directory, path):
    """The bundle as parameters, by their names below the path; ends the program if bundle or path is not in order."""
    policy = ["cargo", "run", "--quiet", "--locked", "--package", "policy", "--"]
    command = [*policy, "parameters", str(Path(directory).resolve()), path]
    check = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if check.returncode:
        sys.exit("Nothing was pushed: mend what is said above.")
    return json.loads(check.stdout)


def push(ssm, path, wanted, key=None):
    """Makes what is below `path` the same as `wanted`."""
    there = current(ssm, path)
    strangers = sorted(name for name in there if not OURS.fullmatch(name))
    if strangers:
        sys.exit(f"Below {path} there is what is no policy: {', '.join(strangers)}. Is it the right path? Nothing was pushed.")
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
    print(f"digest {wanted[DIGEST]}: functions have it in the audit line (policy_digest) and in /v1/health within their TTL")


def current(ssm, path):
    """The parameters below `path`, by their names below it."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
    return {item["Name"].removeprefix(f"{path}/"): item["Value"] for page in pages for item in page["Parameters"]}


def put(ssm, name, text, new, key):
    """Writes one parameter. Without a key, one that is there keeps its type; and one that was once advanced stays so."""
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
