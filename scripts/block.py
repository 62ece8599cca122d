"""Blocks a caller: the rate-limit table then refuses the caller's next request, in every instance of the function.

    WHO=ARN [FOR=8h] REASON="..." block.py on     blocks, lists the person's other principals, which it offers to block, and the
                                                  sessions that the caller may still hold, which it offers to end
    WHO=ARN block.py off                          takes the block off

WHO is the `principal` of an audit line. FOR is a number of minutes, hours or days (30m, 8h, 7d); without it the block holds until
somebody takes it off. FUNCTION_NAME is the function (sentinel-tvm by default), whose settings name the table and the
log: those of the version that callers get (the alias `live`), if there is one. TABLE names the table instead, if the function is
elsewhere. The script asks before it changes anything, unless YES=1.
"""

import fnmatch
import json
import os
import re
import sys
from datetime import datetime, timedelta, timezone

from botocore.exceptions import BotoCoreError, ClientError

import account
import revoke
from revoke import FORMAT, Mistake, ask, say

FUNCTION = "sentinel-tvm"
TIERS = ("vend", "explain", "read")
# Where the ARN of a principal may point: the forms of `principal` in the audit line.
PRINCIPAL = re.compile(
    r"arn:aws[a-z-]*:(?:iam::\d{12}:(?:root|user/[\w+=,.@/-]+)|sts::(?P<account>\d{12}):(?:federated-user|assumed-role/"
    r"(?P<role>[\w+=,.@-]{1,64})(?P<session>/[\w+=,.@-]{2,64})?))",
    re.ASCII,
)
LENGTH = re.compile(r"([1-9]\d{0,4})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# The end of a block without an end: the last second that RFC 3339 can write.
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# An item with a budget must not be deleted while the budget counts. No sensible window is longer.
LEAST_TTL = timedelta(days=30)
MOST_SESSION = timedelta(hours=1)
# How far back the audit lines show a person's other principals.
OTHERS_SINCE = timedelta(days=1)
ALIAS = "live"


def main(arguments, environment, now):
    if arguments not in (["on"], ["off"]):
        sys.exit(__doc__)
    settings = {name: environment.get(name, "").strip() for name in ("WHO", "FOR", "REASON", "FUNCTION_NAME", "TABLE", "YES")}
    try:
        who = principal(settings["WHO"])
        block = block_of(settings, now) if arguments == ["on"] else None
        session = account.session()
        function = Function(session, settings)
        function.check(who)
        dynamodb = session.client("dynamodb")
        if block:
            block_on(session, dynamodb, function, who, block, settings["YES"] == "1", now)
        else:
            block_off(dynamodb, function.table, who, settings["YES"] == "1", now)
    except Mistake as mistake:
        sys.exit(str(mistake))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{account.explain(error)}\nRun it again: what is done already stays as it is.")


def principal(who):
    """The principal, if it has the form of one."""
    if not PRINCIPAL.fullmatch(who):
        hint = " A role is arn:aws:sts::ACCOUNT:assumed-role/NAME." if ":role/" in who else ""
        raise Mistake(f"WHO={who} is not a principal. Copy `principal` from an audit line of the caller.{hint}")
    return who


def block_of(settings, now):
    """The attributes of the block, without who made it."""
    reason = settings["REASON"]
    if not reason or len(reason.encode()) > 256 or not reason.isprintable():
        raise Mistake("REASON is missing, longer than 256 bytes or has control characters: "
                      'say why, as in REASON="key leaked, ticket 4711".')
    length = LENGTH.fullmatch(settings["FOR"]) if settings["FOR"] else None
    if settings["FOR"] and not length:
        raise Mistake(f"FOR={settings['FOR']} is not a number of minutes, hours or days, such as 30m, 8h or 7d.")
    until = now + timedelta(**{UNITS[length[2]]: int(length[1])}) if length else NEVER
    return {"made": now, "until": until, "reason": reason}


class Function:
    """The function's settings that decide whether a block works."""

    def __init__(self, session, settings):
        self.name = settings["FUNCTION_NAME"] or FUNCTION
        self.log_group, self.variables, self.account = None, None, ""
        self.table = settings["TABLE"]
        if not self.table:
            found = configuration(session, self.name)
            self.variables = found.get("Environment", {}).get("Variables", {})
            self.table = self.variables.get("SENTINEL_RATE_LIMIT_TABLE", "")
            self.log_group = found.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{self.name}")
            self.account = found["FunctionArn"].split(":")[4]

    def check(self, who):
        """Fails if a block of this principal would refuse nobody."""
        if self.variables is None:
            return
        other = "Use a `forbid` in the policy instead: docs/incident-response.md, Block a caller."
        if not self.table:
            raise Mistake(f"{self.name} has no rate-limit table, so it cannot see a block. {other}")
        if self.variables.get("SENTINEL_RATE_LIMIT_REQUESTS") == "0":
            raise Mistake(f"The limit of credentials is off (SENTINEL_RATE_LIMIT_REQUESTS=0), so {self.name} sees no block. {other}")
        for tier in TIERS[1:]:
            if self.variables.get(f"SENTINEL_RATE_LIMIT_{tier.upper()}_REQUESTS") == "0":
                say(f"the limit of the tier {tier} is off: the block does not hold there")
        parts = PRINCIPAL.fullmatch(who)
        if not parts["role"]:
            return
        named = self.names_people(parts["account"], parts["role"])
        if named and not parts["session"]:
            raise Mistake(f"Session names of {parts['role']} identify people: each session name is a principal. "
                          f"Give one, as in WHO={who}/alice@example.com.")
        if parts["session"] and not named:
            raise Mistake(f"Session names of {parts['role']} identify nobody: the principal is the role. "
                          f"Give WHO={who.removesuffix(parts['session'])}; it blocks every caller with that role.")

    def names_people(self, where, role):
        """Whether SENTINEL_NAMED_SESSION_ROLES has this role."""
        for pattern in self.variables.get("SENTINEL_NAMED_SESSION_ROLES", "AWSReservedSSO_*").split(","):
            owner, _, name = pattern.strip().rpartition(":")
            if where == (owner or self.account) and fnmatch.fnmatchcase(role, name):
                return True
        return False


def configuration(session, name):
    """The settings that callers get: of the alias, or of the function if it has none (cargo lambda, Terraform)."""
    client = session.client("lambda")
    try:
        return client.get_function_configuration(FunctionName=name, Qualifier=ALIAS)
    except client.exceptions.ResourceNotFoundException:
        pass
    try:
        return client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        raise Mistake(f"There is no function {name} in this account and Region. Give FUNCTION_NAME=, "
                      "or TABLE= with the name of its rate-limit table. Nothing was changed.") from None


def block_on(session, dynamodb, function, who, block, yes, now):
    by = session.client("sts").get_caller_identity()["Arn"]
    until = "until somebody takes it off" if block["until"] == NEVER else f"until {block['until'].strftime(FORMAT)}"
    ask(f"Block {who} in the table {function.table} {until}?", yes)

    def write(principal):
        for tier in TIERS:
            put(dynamodb, function.table, key(tier, principal), block, by)
        print(f"  blocked {until}: {principal}")

    write(who)
    say("It holds with the next request. `make unblock` takes it off; an instance forgets it half a minute later.")
    if function.log_group:
        held, seen = trail(session, function.log_group, who, now)
        offer_others(others(session, function.log_group, who, held, now), write, yes)
        offer(session, who, held, seen, yes, now)
    else:
        say("The audit trail was not read: the query credentials-of-a-person lists the sessions that the caller may still hold.")


def key(tier, who):
    return {"PK": {"S": f"RL#{tier}#{who}"}}


def put(dynamodb, table, item, block, by):
    """A block may only move to a later end: two responders must not shorten each other's."""
    ttl = None if block["until"] == NEVER else max(block["until"] + timedelta(hours=1), block["made"] + LEAST_TTL)
    text = {":since": block["made"].strftime(FORMAT), ":reason": block["reason"], ":by": by}
    values = {name: {"S": value} for name, value in text.items()} | {":until": {"N": str(micros(block["until"]))}}
    changed = "SET Blocked = :until, BlockedSince = :since, BlockedReason = :reason, BlockedBy = :by"
    if ttl:
        values[":ttl"] = {"N": str(micros(ttl) // 1_000_000)}
    try:
        dynamodb.update_item(
            TableName=table,
            Key=item,
            UpdateExpression=changed + (", #ttl = :ttl" if ttl else " REMOVE #ttl"),
            ConditionExpression="attribute_not_exists(Blocked) OR Blocked <= :until",
            ExpressionAttributeNames={"#ttl": "TTL"},
            ExpressionAttributeValues=values,
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        raise Mistake("There is a block already, and it ends later: it stays. To shorten it, take it off first, with `make unblock`.") from None


def block_off(dynamodb, table, who, yes, now):
    found = [tier for tier in TIERS if "Blocked" in dynamodb.get_item(TableName=table, Key=key(tier, who)).get("Item", {})]
    if not found:
        raise Mistake(f"{who} is not blocked in the table {table}.")
    show(dynamodb.get_item(TableName=table, Key=key(found[0], who))["Item"])
    ask(f"Take the block off {who}?", yes)
    for tier in found:
        dynamodb.update_item(
            TableName=table,
            Key=key(tier, who),
            UpdateExpression="SET #ttl = :ttl REMOVE Blocked, BlockedSince, BlockedReason, BlockedBy",
            ExpressionAttributeNames={"#ttl": "TTL"},
            ExpressionAttributeValues={":ttl": {"N": str(micros(now + LEAST_TTL) // 1_000_000)}},
        )
    print(f"  not blocked any more: {who}")
    say("Instances that refused the caller a moment ago admit it within half a minute.\n"
        "   If you ended the caller's sessions: `make unrevoke`, an hour after BEFORE.")


def show(item):
    shown = {name: next(iter(item[name].values())) for name in ("BlockedSince", "BlockedBy", "BlockedReason") if name in item}
    print("  " + json.dumps(shown))


def micros(moment):
    """DynamoDB's form of a time in this table: microseconds since the Unix epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def trail(session, log_group, who, now):
    """From the audit lines of the last hour: the principal's sessions that have not expired, and whether it was seen at all."""
    found = audit_lines(session, log_group, now - MOST_SESSION, f'$.principal = "{who}"')
    lines = [line for line in found if line.get("principal") == who]
    held = [line for line in lines if line.get("expiration", "") > now.strftime(FORMAT)]
    return held, bool(lines)


def others(session, log_group, who, held, now):
    """The principals of the last day that may be the same person: of the same SourceIdentity, or the same name. A person has one
    principal for each permission set, and a block holds for one."""
    identities = {line["source_identity"] for line in held}
    conditions = [f'$.source_identity = "{identity}"' for identity in sorted(identities)]
    if name := name_of(who):
        conditions.append(f'$.principal = "*/{name}"')
    if not conditions:
        return []
    found = audit_lines(session, log_group, now - OTHERS_SINCE, f"({' || '.join(conditions)})")
    same = {line["principal"] for line in found
            if line.get("source_identity") in identities or (name and name_of(line.get("principal", "")) == name)}
    return sorted(same - {who})


def name_of(who):
    """The name of a user or of a named session, without case; None for a role and others."""
    parts = PRINCIPAL.fullmatch(who)
    if parts and (parts["session"] or ":user/" in who):
        return who.rsplit("/", 1)[1].lower()
    return None


def offer_others(found, write, yes):
    """Lists other principals of the person, and offers to block them."""
    if not found:
        return
    say("The block holds for one principal. These may be the same person:")
    for principal in found:
        print(f"  {principal}")
    if not yes and sys.stdin.isatty() and input("Block them, too? [y/N] ").strip().lower() in {"y", "yes"}:
        for principal in found:
            write(principal)
        return
    say("They are not blocked. `make block` blocks each of them.")


def audit_lines(session, log_group, since, condition):
    """The audit lines for which a condition of CloudWatch Logs holds."""
    pages = session.client("logs").get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        startTime=micros(since) // 1000,
        filterPattern=f'{{ $.type = "audit" && {condition} }}',
    )
    try:
        return [line for page in pages for event in page["events"] if (line := audit(event["message"]))]
    except session.client("logs").exceptions.ResourceNotFoundException:
        return []


def audit(message):
    try:
        line = json.loads(message)
    except ValueError:
        return None
    return line if isinstance(line, dict) and line.get("type") == "audit" else None


def offer(session, who, held, seen, yes, now):
    """Lists the sessions that the caller may still hold, and offers to end those in this account."""
    if not seen:
        say(f"No audit line of the last hour has the principal {who}. Check the spelling: a block of a misspelt one refuses nobody.")
    if not held:
        say("The caller holds no session that was vended in the last hour.")
        return
    say("Sessions that the caller may still hold:")
    for line in held:
        print(f"  {line['expiration']}  {line['role_arn']}  request {line['request_id']}")
    own = session.client("sts").get_caller_identity()["Account"]
    for (where, identity), roles in sorted(by_account(held).items()):
        command = f'make revoke WHO={identity} BEFORE=now+5m ROLES="{" ".join(roles)}"'
        if where != own or yes or not sys.stdin.isatty():
            print(f"  to end them, with credentials of account {where}:\n    {command}")
            continue
        settings = {"WHO": identity, "BEFORE": "now+5m", "REQUEST": ""}
        name, document = revoke.revocation(settings, now, undo=False)
        revoke.put_on(session.client("iam"), roles, name, document, yes=False)


def by_account(held):
    """The names of the roles, by their account and the SourceIdentity of the sessions."""
    found = {}
    for line in held:
        where, role = line["role_arn"].split(":")[4], line["role_arn"].rsplit("/", 1)[1]
        found.setdefault((where, line["source_identity"]), set()).add(role)
    return {group: sorted(roles) for group, roles in found.items()}


if __name__ == "__main__":
    main(sys.argv[1:], os.environ, datetime.now(timezone.utc))
