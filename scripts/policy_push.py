"""Checks a policy bundle and writes it to SSM Parameter Store, from where running functions take it within their TTL.

usage: policy_push.py DIRECTORY PATH [KEY]

PATH is what the function has in SENTINEL_POLICY_PARAMETER. With KEY, the id, ARN or alias of a KMS key, new parameters are
SecureStrings. Credentials and region are those of the environment; they need ssm:GetParametersByPath, ssm:PutParameter and
ssm:DeleteParameter below PATH.

Parameters are written one by one. The digest of the whole goes first, so that a function which reads in between sees that it has a
mixture, and stays with the bundle it has.
"""

import json
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

REPOSITORY = Path(__file__).resolve().parents[1]
DIGEST = "digest"
# SSM's limits, in bytes: a standard parameter is free, an advanced one is not.
STANDARD, ADVANCED = 4096, 8192


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    directory, path, *key = arguments
    wanted = checked(directory)
    try:
        push(boto3.client("ssm"), path, wanted, *key)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Parameter Store: {error}\nRun it again: as long as the digest is not that of the rest, functions stay with what they have.")


def checked(directory):
    """The bundle as parameters, by their names below the path; ends the program if the bundle is not in order."""
    command = ["cargo", "run", "--quiet", "--locked", "--example", "policy", "--", "parameters", str(Path(directory).resolve())]
    check = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if check.returncode:
        sys.exit("Nothing was pushed: mend what is said above.")
    wanted = json.loads(check.stdout)
    for name, text in wanted.items():
        if len(text.encode()) > ADVANCED:
            sys.exit(f"{name} is longer than the {ADVANCED} bytes of a parameter: split its file in two. Nothing was pushed.")
    return wanted


def push(ssm, path, wanted, key=None):
    """Makes what is below `path` the same as `wanted`."""
    there = current(ssm, path)
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
    """Writes one parameter. One that is there keeps its type."""
    kind = {}
    if new:
        kind = {"Type": "SecureString", "KeyId": key} if key else {"Type": "String"}
    tier = "Advanced" if len(text.encode()) > STANDARD else "Standard"
    ssm.put_parameter(Name=name, Value=text, Overwrite=not new, Tier=tier, **kind)


if __name__ == "__main__":
    main(sys.argv[1:])
