"""Moves callers to another version of the function: the alias `live` points at it from then on.

usage: rollback.py FUNCTION [VERSION]

Without VERSION: the version before the one that callers get now. A version is code, packaged policy and settings, as they were
deployed together. The table, the roles and a policy in Parameter Store are not part of it. The script shows the versions and asks,
unless YES=1. Credentials and Region are found as the AWS CLI finds them.
"""

import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

import account
from confirm import Mistake, ask

ALIAS = "live"
# The settings that decide whether a version sees blocks.
TABLE, REQUESTS = "SENTINEL_RATE_LIMIT_TABLE", "SENTINEL_RATE_LIMIT_REQUESTS"
# Versions that are shown beside the two that matter.
SHOWN = 5


def main(arguments, environment):
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    name, *wanted = arguments
    client = account.session().client("lambda")
    try:
        alias = live(client, name)
        now, published = alias["FunctionVersion"], versions(client, name)
        target = chosen(now, published, *wanted)
        show(published, now, target)
        for warning in warnings(published[int(now)], published[int(target)], target):
            print(f"-- WARNING: {warning}")
        ask(f"Move all callers of {name} from version {now} to {target}?", environment.get("YES") == "1")
        move(client, name, alias, target)
    except Mistake as mistake:
        sys.exit(str(mistake))
    except (BotoCoreError, ClientError) as error:
        sys.exit(account.explain(error))
    print(f"-- Callers of {name} get version {target}. Make one call, and compare `policy_digest` in its audit line.\n"
          "   The next deployment moves them to its own version again: correct the cause first.")


def live(client, name):
    """The alias that callers use."""
    try:
        alias = client.get_alias(FunctionName=name, Name=ALIAS)
    except client.exceptions.ResourceNotFoundException:
        raise Mistake(f"{name} has no alias `{ALIAS}`: only template.yaml makes it. See \"Rolling back\" in docs/deployment.md.") from None
    if alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        raise Mistake("A gradual shift is under way, and CodeDeploy moves the alias. Stop it: this goes back to the old version.\n"
                      "  aws deploy list-deployments --include-only-statuses InProgress\n"
                      "  aws deploy stop-deployment --auto-rollback-enabled --deployment-id ID")
    return alias


def versions(client, name):
    """All published versions, by number, the oldest first."""
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    found = {int(version["Version"]): version for page in pages for version in page["Versions"] if version["Version"] != "$LATEST"}
    return dict(sorted(found.items()))


def chosen(now, published, wanted=None):
    """The version to go to, in text as Lambda has it."""
    if wanted is None:
        earlier = [number for number in published if number < int(now)]
        if not earlier:
            raise Mistake(f"Version {now} is the first one: there is nothing to go back to. Build and deploy an earlier commit.")
        return str(earlier[-1])
    if not wanted.isdecimal() or int(wanted) not in published:
        raise Mistake(f"There is no version {wanted}. There are: {', '.join(map(str, published))}.")
    if wanted == now:
        raise Mistake(f"Callers get version {now} already.")
    return wanted


def show(published, now, target):
    newest = list(published)[-SHOWN:]
    for number in sorted({*newest, int(now), int(target)} & published.keys()):
        version = published[number]
        mark = {now: "now", target: "next"}.get(str(number), "")
        print(f"  {mark:<5}{number:>4}  {version['LastModified'][:19]}  code {version['CodeSha256'][:8]}  {version.get('Description', '')}")


def warnings(current, wanted, target):
    """What happens to blocks of callers, which are in the table: a version may have another one, or not look."""
    now, then = (version.get("Environment", {}).get("Variables", {}) for version in (current, wanted))
    again = "Blocks that hold now do not hold there: make them again after the rollback, with `make block`."
    if not then.get(TABLE) or then.get(REQUESTS) == "0":
        return [f"version {target} sees no block: it has no rate-limit table, or no limit of credentials. "
                "Blocked callers come back. Use a `forbid` in the policy: docs/incident-response.md, Block a caller."]
    if now.get(TABLE) != then[TABLE]:
        return [f"version {target} has the rate-limit table {then[TABLE]} instead of {now.get(TABLE, 'none')}. {again}"]
    return []


def move(client, name, alias, target):
    """Points the alias at the version, unless somebody else has moved it meanwhile."""
    try:
        client.update_alias(
            FunctionName=name, Name=ALIAS, FunctionVersion=target, RoutingConfig={"AdditionalVersionWeights": {}},
            RevisionId=alias["RevisionId"],
        )
    except client.exceptions.PreconditionFailedException:
        raise Mistake("Somebody else has just moved the alias: look again. Nothing was changed.") from None


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
