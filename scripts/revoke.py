"""Ends sessions that were vended: writes the policies of deploy/examples/incident for one case, and puts them on roles.

    WHO=sentinel-NAME BEFORE=TIME ROLES="ROLE ..." revoke.py end     every session of one caller, issued before TIME
    WHO=everybody     BEFORE=TIME ROLES="ROLE ..." revoke.py end     every session of everybody, issued before TIME
    REQUEST=ID                    ROLES="ROLE ..." revoke.py end     the session of one request
    WHO=... or REQUEST=...        ROLES="ROLE ..." revoke.py undo    takes that policy off again

WHO is the `source_identity` of the audit line, REQUEST its `request_id`. TIME is in UTC, as 2026-03-04T11:00:00Z, or `now`, or
`now+5m`. Take a time a few minutes from now if the caller can still get new sessions. ROLES are names of protected roles in the
account of your credentials. The script shows the policy and asks, unless YES=1.
"""

import json
import os
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

import account
from confirm import Mistake, ask

EXAMPLES = Path(__file__).resolve().parents[1] / "deploy" / "examples" / "incident"
EVERYBODY = "everybody"
# What STS accepts as a source identity, after the function's prefix.
SOURCE_IDENTITY = re.compile(r"sentinel-[\w+=,.@-]{1,55}", re.ASCII)
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def main(arguments, environment, now):
    if arguments not in (["end"], ["undo"]):
        sys.exit(__doc__)
    settings = {name: environment.get(name, "").strip() for name in ("WHO", "BEFORE", "REQUEST", "ROLES", "YES")}
    try:
        name, document = revocation(settings, now, undo=arguments == ["undo"])
        roles = settings["ROLES"].replace(",", " ").split()
        if not roles:
            raise Mistake("ROLES is missing: the protected roles, as in ROLES=\"vended-development vended-production\".\n"
                          "The saved query credentials-of-a-person lists the roles that a caller got.")
        session = account.session()
        iam = session.client("iam")
        say(f"account {session.client('sts').get_caller_identity()['Account']}, roles: {', '.join(roles)}")
        if arguments == ["undo"]:
            take_off(iam, roles, name, settings["YES"] == "1")
        else:
            put_on(iam, roles, name, document, settings["YES"] == "1")
    except Mistake as mistake:
        sys.exit(str(mistake))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{account.explain(error)}\nRun it again: what is done already stays as it is.")


def revocation(settings, now, undo):
    """The name of the policy, and the policy; None in its place if only the name is needed."""
    who, before, request = settings["WHO"], settings["BEFORE"], settings["REQUEST"]
    if bool(who) == bool(request):
        raise Mistake("Give either WHO, the source_identity of an audit line, or REQUEST, its request_id. "
                      "WHO=everybody ends the sessions of all callers.")
    if request:
        if not REQUEST_ID.fullmatch(request):
            raise Mistake(f"REQUEST={request} is not a request id, such as 0a1b2c3d-4e5f-6789-abcd-ef0123456789.")
        document = filled("revoke-session.json", "aws:PrincipalTag/SentinelRequestId", request)
        return f"end-session-{request}", document
    if who != EVERYBODY and not SOURCE_IDENTITY.fullmatch(who):
        raise Mistake(f"WHO={who} is not a source_identity: it begins with `sentinel-`, as in sentinel-alice@example.com. "
                      "Copy it from an audit line of the caller.")
    name = f"end-sessions-{who}"
    if undo:
        return name, None
    until = point_in_time(before, now)
    if who == EVERYBODY:
        return name, filled("revoke-all.json", "aws:TokenIssueTime", until)
    document = filled("revoke-caller.json", "aws:TokenIssueTime", until)
    return name, replaced(document, "aws:SourceIdentity", who)


def point_in_time(text, now):
    """The time that BEFORE names, in IAM's form."""
    if not text:
        raise Mistake("BEFORE is missing: sessions that were issued before that time end. BEFORE=now, BEFORE=now+5m, "
                      "or a time in UTC as 2026-03-04T11:00:00Z. Take now+5m if the caller is not blocked yet.")
    relative = re.fullmatch(r"now(?:\+(\d{1,3})m)?", text)
    if relative:
        return (now + timedelta(minutes=int(relative[1] or 0))).strftime(FORMAT)
    try:
        if not TIME.fullmatch(text):
            raise ValueError
        moment = datetime.strptime(text, FORMAT).replace(tzinfo=timezone.utc)
    except ValueError:
        raise Mistake(f"BEFORE={text} is not `now`, `now+5m` or a time in UTC, such as 2026-03-04T11:00:00Z.") from None
    if moment < now - timedelta(hours=1):
        raise Mistake(f"BEFORE={text} is more than an hour ago: every session that was issued before it has expired already. It is now "
                      f"{now.strftime(FORMAT)}.")
    return text


def filled(file, key, value):
    return replaced(json.loads((EXAMPLES / file).read_text(encoding="utf-8")), key, value)


def replaced(document, key, value):
    """The policy with this value of a condition key. The file's own value is an example."""
    [statement] = document["Statement"]
    [operator] = [operator for operator, keys in statement["Condition"].items() if key in keys]
    statement["Condition"][operator][key] = value
    return document


def put_on(iam, roles, name, document, yes):
    check_roles(iam, roles)
    for role in roles:
        refuse_earlier(current(iam, role, name), document, role, name)
    print(json.dumps(document, indent=2))
    ask(f"Put this on {', '.join(roles)} as the inline policy {name}?", yes)
    for role in roles:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
        print(f"  {role}: {name}")
    say("The sessions end within seconds, a few minutes at most. The function still vends new ones: block the caller too.\n"
        "   Take it off once the last of these sessions has expired, an hour after BEFORE, with `make unrevoke`.")


def take_off(iam, roles, name, yes):
    check_roles(iam, roles)
    found = [role for role in roles if current(iam, role, name)]
    for role in sorted(set(roles) - set(found)):
        print(f"  {role}: has no policy {name}")
    if not found:
        return
    ask(f"Delete the inline policy {name} of {', '.join(found)}? Sessions that have not expired then work again.", yes)
    for role in found:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
        print(f"  {role}: {name} deleted")


def check_roles(iam, roles):
    """Fails before anything is changed if one of the roles does not exist."""
    for role in roles:
        try:
            iam.list_role_policies(RoleName=role)
        except iam.exceptions.NoSuchEntityException:
            raise Mistake(f"There is no role {role} in this account. Give names, not ARNs, and use credentials of the roles' account. "
                          "Nothing was changed.") from None


def current(iam, role, name):
    """The policy of that name that the role has now; None if it has none."""
    try:
        return iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    except iam.exceptions.NoSuchEntityException:
        return None


def refuse_earlier(existing, document, role, name):
    """Sessions that have been ended must not come back because somebody runs this again with an earlier time."""
    found, wanted = issue_time(existing), issue_time(document)
    if found and wanted and found > wanted:
        raise Mistake(f"{role} already has {name}, for sessions issued before {found}. BEFORE={wanted} is earlier and would bring some "
                      "of them back. Nothing was changed.")


def issue_time(document):
    """The time in a revocation; None if it has none."""
    if not document:
        return None
    [statement] = document["Statement"]
    return statement["Condition"].get("DateLessThan", {}).get("aws:TokenIssueTime")


def say(text):
    print(f"-- {text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ, datetime.now(timezone.utc))
