"""Runs `sam deploy` with a new Release, so that a version is published and callers get it.

    sam_deploy.py FILE built                      deploys what `sam build` made
    sam_deploy.py FILE settings [NAME=VALUE ...]  deploys what is deployed already, with other parameters. Builds nothing

FILE is SAM's configuration, with the stack's name, the Region, and the parameters that every deployment of this clone has. All other
parameters keep their value in the stack. The program `sam` must be on the PATH.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

import account
from confirm import Mistake
from deploy_check import option

RELEASE = "Release"
DEPLOYED = Path(".aws-sam") / "deployed.yaml"


def main(arguments, now):
    match arguments:
        case [file, "built"]:
            run = built
        case [file, "settings", *_]:
            run = settings
        case _:
            sys.exit(__doc__)
    try:
        configuration = tomllib.loads(Path(file).read_text(encoding="utf-8")).get("default", {})
        # Without the option, `sam` looks for its configuration beside the template.
        options = ["--config-file", str(Path(file).resolve()), *run(configuration, arguments[2:], f"{now}-{note()}")]
    except Mistake as mistake:
        sys.exit(str(mistake))
    except (BotoCoreError, ClientError) as error:
        sys.exit(account.explain(error))
    command = ["sam", "deploy", *options]
    print(f"-- {shlex.join(command)}", flush=True)
    os.execvp(command[0], command)


def built(configuration, _, release):
    """The options for the build in .aws-sam."""
    overrides = saved(configuration) | {RELEASE: release}
    return ["--parameter-overrides", *map(quoted, overrides.items())]


def settings(configuration, given, release):
    """The options for the deployed template, which names the packages in SAM's bucket."""
    changes = dict(map(setting, given))
    stack = option(configuration, "stack_name")
    client = account.session().client("cloudformation")
    [found] = client.describe_stacks(StackName=stack)["Stacks"]
    known = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in found.get("Parameters", [])}
    if RELEASE not in known:
        raise Mistake(f"The stack {stack} has no parameter {RELEASE}: is it one of template.yaml, and not an old one? Run `make deploy-sam`.")
    unknown = sorted(changes.keys() - known.keys() | changes.keys() & {RELEASE})
    if unknown:
        raise Mistake(f"{stack} has no such parameter to set: {', '.join(unknown)}. It has {', '.join(sorted(known.keys() - {RELEASE}))}.")
    for name, value in changes.items():
        print(f"-- {name}: {known[name]!r} becomes {value!r}")
    if not changes:
        print("-- no parameter changes: the same version again, in new instances")
    body = client.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    DEPLOYED.parent.mkdir(exist_ok=True)
    DEPLOYED.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
    overrides = changes | {RELEASE: release}
    return ["--template-file", str(DEPLOYED), "--parameter-overrides", *map(quoted, overrides.items())]


def setting(text):
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9]+", name):
        raise Mistake(f"{text} is not NAME=VALUE, as in SET=\"RateLimitFailureMode=memory ReservedConcurrency=5\".")
    return name, value


def saved(configuration):
    """The parameters in SAM's configuration. An option on the command line replaces all of them, so they are repeated there."""
    value = option(configuration, "parameter_overrides") or []
    return dict(map(setting, shlex.split(value) if isinstance(value, str) else value))


def quoted(pair):
    """A parameter as `sam` reads it: a value in quotes may be empty, and hold blanks."""
    name, value = pair
    return f"{name}={value}" if re.fullmatch(r"[^\s\"'\\]+", value) else f"{name}={json.dumps(value)}"


def note():
    """Which commit this is, for whoever looks at the versions later."""
    git = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=8"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return re.sub(r"[^A-Za-z0-9._-]", "-", git.stdout.strip())[:40] or "no-commit"


if __name__ == "__main__":
    main(sys.argv[1:], int(time.time()))
