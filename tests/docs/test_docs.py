"""What the documents say of the repository is so: quotations, links, names of tests, settings, codes, metrics, fields, queries.

Run with `pytest tests/docs`; needs nothing but pytest. Facts are read from the sources, so that a change there is noticed here.
"""

import json
import re
import textwrap
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "deploy/examples"
# In these each example says where it is from, or why from nowhere.
QUOTING = [
    "docs/SECURITY_HARDENING.md",
    "docs/iam.md",
    "docs/incident-response.md",
    "docs/threat-model.md",
    "docs/troubleshooting.md",
]


def relative(path):
    return str(path.relative_to(ROOT))


DOCUMENTS = sorted(relative(path) for pattern in ["*.md", "docs/*.md"] for path in ROOT.glob(pattern))
FENCE = re.compile(r"^(?P<indent>\s*)```(?P<info>\S.*)?$")
MARKER = re.compile(r"^\s*<!-- (?P<kind>from|shown only|run): (?P<what>.+) -->$")
# Where tests/e2e runs the commands of a block, as they stand.
RUN = {
    "local stack",
    "local stack, as root",
    "local stack, in the background",
    "cargo lambda alone",
    "cargo lambda alone, in the background",
    "emulated account",
    "emulated account, after its table was deleted",
    "emulated account, with two versions",
}
SHELL = {"sh", "bash", "console", "shell"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def fences(path):
    """Each fenced block: its line, its language, the marker before it, and its lines."""
    lines = read(path).split("\n")
    found, start = [], None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if start is None and fence:
            start, language = number, (fence["info"] or "").split(" ")[0]
        elif start is not None and fence and not fence["info"]:
            marker = MARKER.match(lines[start - 1]) if start else None
            found.append((start + 1, language, marker, lines[start + 1 : number]))
            start = None
    assert start is None, f"{path}:{start and start + 1}: a fence does not end"
    return found


def prose(path):
    """A document without its fenced blocks; line numbers stay."""
    inside, kept = False, []
    for line in read(path).split("\n"):
        fence = FENCE.match(line)
        kept.append("" if inside or fence else line)
        if fence and (not inside or not fence["info"]):
            inside = not inside
    return "\n".join(kept)


def code_spans(text):
    return re.findall(r"`([^`\n]+)`", text)


def nothing(left, of="not documented"):
    """Fails with what is left."""
    assert not left, f"{of}: {', '.join(sorted(left))}"


def dedented(lines):
    return textwrap.dedent("\n".join(line.rstrip() for line in lines)).split("\n")


def occurs(quoted, source):
    """Whether the lines occur in a row in the source, whatever both are indented by."""
    wanted, length = dedented(quoted), len(quoted)
    return any(dedented(source[at : at + length]) == wanted for at in range(len(source) - length + 1))


# Quotations.


@pytest.mark.parametrize("path", DOCUMENTS)
def test_quotations_are_what_the_file_says(path):
    wrong = []
    for line, _, marker, quoted in fences(path):
        if marker and marker["kind"] == "from":
            source = ROOT / marker["what"]
            if not source.is_file():
                wrong.append(f"{path}:{line}: there is no {marker['what']}")
            elif not "".join(quoted).strip() or not occurs(quoted, read(marker["what"]).split("\n")):
                wrong.append(f"{path}:{line}: {marker['what']} does not say this in a row")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", QUOTING)
def test_every_example_says_where_it_is_from(path):
    wrong = [f"{path}:{line}" for line, language, marker, _ in fences(path) if not marker or not language]
    assert not wrong, "no language, or no `<!-- from: -->` or `<!-- shown only: -->` right before it: " + ", ".join(wrong)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_command_block_is_run_or_says_why_not(path):
    """A reader copies commands. Those that nobody runs are wrong sooner or later, and only the reader notices."""
    wrong = [f"{path}:{line}" for line, language, marker, _ in fences(path) if language in SHELL and not marker]
    assert not wrong, "no `<!-- run: -->`, `<!-- from: -->` or `<!-- shown only: -->` right before it: " + ", ".join(wrong)
    unknown = {marker["what"] for _, _, marker, _ in fences(path) if marker and marker["kind"] == "run"} - RUN
    nothing(unknown, f"{path}: tests/e2e/reader.py does not know where to run")


def test_most_command_blocks_are_run():
    markers = [marker for path in DOCUMENTS for _, language, marker, _ in fences(path) if language in SHELL]
    # `from`: a copy of a block that says itself whether it is run.
    originals = [marker for marker in markers if not marker or marker["kind"] != "from"]
    assert sum(bool(marker) and marker["kind"] == "run" for marker in originals) > len(originals) / 2


def test_every_marker_has_its_example():
    for path in DOCUMENTS:
        markers = sum(bool(MARKER.match(line)) for line in prose(path).split("\n"))
        assert markers == sum(bool(marker) for _, _, marker, _ in fences(path)), path


def test_the_starters_rule_in_the_readme_is_the_starters():
    rules = [quoted for _, language, _, quoted in fences("README.md") if language == "cedar"]
    assert rules
    for quoted in rules:
        assert occurs(quoted, read("policy/access.cedar").split("\n"))


# Links.


def slug(heading):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    kept = [c for c in text if c in "-_ " or unicodedata.category(c)[0] in "LNM"]
    return "".join(kept).replace(" ", "-")


def anchors(path):
    seen, found = {}, set()
    for heading in re.findall(r"^#{1,6} +(.+?)(?: +#+)?$", prose(path), re.MULTILINE):
        base = slug(heading)
        count = seen.get(base, 0)
        seen[base] = count + 1
        found.add(f"{base}-{count}" if count else base)
    return found


def links(path):
    """Each link out of a document but those to the web: its line, its text and its target."""
    # A link's text may have code in it, but code has no links in it.
    text = re.sub(r"`[^`\n]*`", lambda span: span[0].replace("[", "\0").replace("]", "\0").replace("(", "\0"), prose(path))
    for match in re.finditer(r"\[([^\]]+)\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", match[2]):
            yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_somewhere(path):
    wrong = []
    for line, _, target in links(path):
        file, _, anchor = target.partition("#")
        found = (ROOT / path).parent / file if file else ROOT / path
        if not found.resolve().is_relative_to(ROOT) or not found.exists():
            wrong.append(f"{path}:{line}: there is no {target}")
        elif anchor and (found.suffix != ".md" or anchor not in anchors(found)):
            wrong.append(f"{path}:{line}: there is no heading for {target}")
    assert not wrong, "\n".join(wrong)


def test_every_document_can_be_reached_from_the_readme():
    reached, left = set(), ["README.md"]
    while left:
        path = left.pop()
        reached.add(path)
        targets = {((ROOT / path).parent / target.partition("#")[0]).resolve() for _, _, target in links(path)}
        found = {relative(target) for target in targets if target.suffix == ".md" and target.is_file()}
        left += sorted(found - reached - set(left))
    nothing(set(DOCUMENTS) - reached, "no link leads to")


def test_slugs_are_githubs():
    assert slug("8. CI/CD scanning") == "8-cicd-scanning"
    assert slug("Never plain `lambda:InvokeFunction`") == "never-plain-lambdainvokefunction"
    assert slug("What *managed* and *compliant* mean") == "what-managed-and-compliant-mean"
    assert slug("CREDENTIAL_ERROR") == "credential_error"


# Tests that documents name.


def functions(path):
    """The names of a file's functions, Rust's and Python's."""
    return set(re.findall(r"\b(?:fn|def) ([a-z_0-9]+)\b", path.read_text(encoding="utf-8")))


def test_sources():
    folders = ["src", "tests", "tools", "fuzz/fuzz_targets", "fuzz/src"]
    return [path for folder in folders for suffix in ["rs", "py"] for path in ROOT.glob(f"{folder}/**/*.{suffix}")]


test_sources.__test__ = False


@pytest.mark.parametrize("path", DOCUMENTS)
def test_named_tests_are_where_they_are_linked(path):
    wrong = []
    for line, text, target in links(path):
        name = re.fullmatch(r"`([a-z][a-z_0-9]+)`", text)
        file = ((ROOT / path).parent / target).resolve()
        if name and "_" in name[1] and file.suffix in {".rs", ".py"} and file.is_file() and name[1] not in functions(file):
            wrong.append(f"{path}:{line}: {target} has no {name[1]}")
    assert not wrong, "\n".join(wrong)


def test_named_tests_exist():
    known = set().union(*(functions(path) for path in test_sources()))
    wrong = [
        f"{path}: {name}"
        for path in DOCUMENTS
        for name in code_spans(prose(path))
        if re.fullmatch(r"(security|test)_[a-z0-9_]+", name) and name not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_each_threat_of_the_model_is_proved_by_a_test():
    section = prose("docs/threat-model.md").split("\n## Threats\n")[1].split("\n## ")[0]
    rows = [row for row in re.findall(r"^\| (.+) \|$", section, re.MULTILINE) if not row.startswith("threat |")]
    assert len(rows) > 30
    for row in rows:
        assert re.search(r"\]\(\.\./(src|tests|tools)/[^)]+\.(rs|py)\)$", row.split(" | ")[-1]), row


def test_every_file_with_a_threat_is_in_the_list_of_regression_tests():
    section = prose("docs/SECURITY_HARDENING.md").split("\n## 9. ")[1].split("\n## ")[0]
    listed = {name for name in code_spans(section) if (ROOT / name).is_file()}
    mention = re.compile(r"^\s*(///?!?|\"\"\") ?THREAT:", re.MULTILINE)
    threats = {
        relative(path)
        for path in test_sources()
        if mention.search(path.read_text(encoding="utf-8"))
    }
    assert threats, "no test has a THREAT any more?"
    nothing(threats - listed, "not listed")
    nothing({name for name in listed if name.startswith(("src/", "tests/"))} - threats, "listed, but without a THREAT")


# Commands.


def make_targets():
    return set(re.findall(r"^([a-z0-9][a-z0-9-]*):(?!=)", read("Makefile"), re.MULTILINE))


def called_targets(command):
    """The targets of each `make` in a line of shell."""
    # Settings come last, and their values may hold anything.
    plain = re.split(r'\s\w+="', command.split(" # ")[0])[0]
    for call in re.finditer(r"(?:^|[;&|(]|\s)make((?: +[^\s;&|#)`]+)+)", plain):
        yield from (word for word in call[1].split() if "=" not in word and ">" not in word and not word.startswith("-"))


@pytest.mark.parametrize("path", DOCUMENTS)
def test_make_targets_exist(path):
    commands = code_spans(prose(path))
    for _, language, _, quoted in fences(path):
        if language in SHELL:
            commands += quoted
    commands = [command.strip() for command in commands]
    called = {target for command in commands if command.startswith("make") for target in called_targets(command)}
    nothing(called - make_targets(), f"{path}: no target of the Makefile")


def logical_commands(lines):
    """The commands of a shell block: comments out, continued lines, functions and strings of several lines together."""
    text = re.sub(r"\s+#.*$", "", "\n".join(lines).replace("\\\n", " "), flags=re.MULTILINE)
    text = re.sub(r"\{[^}]*\}", lambda body: body[0].replace("\n", " ").replace(";", " "), text)
    text = re.sub(r'"[^"]*"', '""', text)
    return [command for command in re.split(r"\n|;|&&|\|\|", text) if command.strip()]


def test_commands_are_counted():
    assert len(logical_commands(["a \\", "  b   # c; d", 'f() { g; }', 'e "x;', ' y" && h'])) == 4


def test_a_first_credential_takes_ten_commands_at_most():
    """Counted are all commands of the straight path, those included that set up the shell."""
    lines = read("docs/deployment.md").split("\n")
    start, end = lines.index("## The straight path"), lines.index("### Without Identity Center")
    path = [quoted for line, language, _, quoted in fences("docs/deployment.md") if start < line < end and language in SHELL]
    counts = [len(logical_commands(quoted)) for quoted in path]
    assert 5 < sum(counts) <= 10, counts
    # Each is one screenful, with what is written about it.
    steps = re.split(r"^(?=\*\*\d+\. )", "\n".join(lines[start:end]), flags=re.MULTILINE)[1:]
    assert [int(re.match(r"\*\*(\d+)", step)[1]) for step in steps] == list(range(3, sum(counts) + 1)), "numbered in order"
    assert all(step.count("\n") <= 24 for step in steps)


# Codes, settings, metrics, fields.


def error_codes():
    source = read("src/error.rs").split("#[cfg(test)]")[0]
    codes = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', source))
    assert {"MISSING_PROFILE", "POLICY_DENY", "RATE_LIMITED"} <= codes and len(codes) >= 18
    return codes


@pytest.mark.parametrize("path", ["README.md", "docs/api.md", "docs/openapi.yaml"])
def test_codes_are_documented(path):
    nothing(error_codes() - set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", read(path))))


def test_each_code_has_its_entry_in_troubleshooting():
    headings = re.findall(r"^### ([A-Z_]+)$", prose("docs/troubleshooting.md"), re.MULTILINE)
    assert sorted(headings) == sorted(error_codes())
    for entry in prose("docs/troubleshooting.md").split("\n### ")[1:]:
        for row in ["symptom", "cause", "check", "remedy"]:
            assert f"\n| {row} | " in entry, f"{entry.splitlines()[0]}: {row}"


def settings():
    """The variables that src/config reads."""
    sources = [path.read_text(encoding="utf-8") for path in ROOT.glob("src/config/*.rs") if path.name != "tests.rs"]
    source = "\n".join([read("src/config.rs"), *sources])
    # `limit` makes three names of a prefix.
    prefixes = set(re.findall(r'\blimit\(variables, "([A-Z_]+)", \d+\)', source))
    suffixes = set(re.findall(r'format!\("\{prefix\}(_[A-Z_]+)"\)', source))
    assert prefixes and suffixes
    names = set(re.findall(r'"((?:SENTINEL|MDM|AWS|LAMBDA|RUST)_[A-Z_]+)"', source)) - prefixes - {"SENTINEL_"}
    return names | {prefix + suffix for prefix in prefixes for suffix in suffixes}


def test_settings_are_documented():
    assert {"SENTINEL_RATE_LIMIT_READ_BURST", "MDM_SECRET_ARN", "SENTINEL_POLICY_DIR"} <= settings()
    nothing(settings() - set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", read("docs/configuration.md"))))


@pytest.mark.parametrize("path", DOCUMENTS)
def test_settings_that_are_documented_exist(path):
    words = {span.split("=")[0] for span in code_spans(prose(path))}
    named = {word for word in words if re.fullmatch(r"(SENTINEL|MDM)_[A-Z_]+[A-Z]", word)}
    # Those of the client, which docs/client.md documents.
    client = set(re.findall(r'"(SENTINEL_[A-Z_]+)"', "".join(file.read_text() for file in ROOT.glob("client/src/**/*.rs"))))
    nothing(named - settings() - client, "not a setting")


def metric_sources():
    return [read("src/audit.rs"), *(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("src/audit/*.rs")))]


def metrics():
    """The names of metrics in the audit code: text in CamelCase that is none of the format's own words."""
    format_words = {"Namespace", "Dimensions", "Metrics", "Name", "Unit", "Timestamp", "CloudWatchMetrics", "StorageResolution"}
    units = {"Count", "Milliseconds", "Seconds", "Percent", "None"}
    found = set()
    for source in metric_sources():
        code = re.sub(r"^\s*#\[.*$", "", source.split("#[cfg(test)]")[0], flags=re.MULTILINE)
        found |= set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', code))
    return found - format_words - units


def test_metrics_are_documented():
    assert "Requests" in metrics()
    nothing(metrics() - set(code_spans(read("docs/operations.md"))))


def audit_schema():
    path = ROOT / "docs/audit.schema.json"
    if not path.exists():
        pytest.skip("docs/audit.schema.json is not written yet")
    return json.loads(path.read_text(encoding="utf-8"))


def properties(schema):
    """The names of all properties of a schema, those of its parts included."""
    if isinstance(schema, list):
        return set().union(*map(properties, schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    found = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return found.union(*(properties(value) for value in schema.values()))


def test_audit_fields_are_documented():
    schema = audit_schema()
    # What is in `_aws` is CloudWatch's.
    parts = {name: part for name, part in schema["properties"].items() if name != "_aws"}
    spans = code_spans(read("docs/operations.md"))
    words = {word for span in spans for word in re.findall(r"\w+", span)}
    nothing((set(parts) | properties(list(parts.values())) | {"_aws"}) - words)


def test_the_schema_knows_each_code():
    assert set(audit_schema()["properties"]["code"]["enum"]) == error_codes() | {"OK"}


def test_the_log_fields_that_compliance_names_are_in_the_audit_line():
    named = set()
    for listed in re.findall(r"log: ((?:`[^`]+`(?:, | )?)+)", prose("docs/compliance.md")):
        named |= {part for span in code_spans(listed) for part in span.split(".")}
    codes = {name for name in named if name.isupper()}
    assert len(named) > 20 and codes
    nothing(codes - error_codes(), "no such code")
    nothing(named - codes - set(properties(audit_schema())), "no such field")


def test_each_answer_for_a_reviewer_names_evidence_and_a_control():
    rows = [row.strip("| ").split(" | ") for row in prose("docs/compliance.md").split("\n") if row.startswith("| ")]
    answers = [row for row in rows if len(row) == 4 and row[0].endswith("?")]
    assert len(answers) > 30
    for question, _, evidence, controls in answers:
        assert "](" in evidence or "`" in evidence, question
        assert all(re.fullmatch(r"(CC|A)\d\.\d+|A\.[5-8]\.\d+|(PCI )?\d+(\.\d+)+|GDPR \d+", control) for control in re.split(r"[,;] ", controls)), question


def values(schema, name):
    """The values that a property may have, wherever in the schema they are listed."""
    part = schema["properties"][name]
    while "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    return set(part["enum"])


@pytest.mark.parametrize("dimension", ["limiter", "posture"])
def test_the_dashboard_shows_each_value_of_a_dimension(dimension):
    shown = set(re.findall(rf'"\$\{{Function\}}", "{dimension}", "(\w+)"', read("template.yaml")))
    assert shown == values(audit_schema(), dimension)


def test_the_schema_knows_each_metric():
    text = json.dumps(audit_schema())
    nothing({name for name in metrics() if f'"{name}"' not in text}, "not in the schema")


# Queries.


def record_fields():
    """The names of what an audit line holds: fields of the records, and what is put in by name."""
    source = "\n".join(metric_sources())
    names = set(re.findall(r"^\s+(?:pub(?:\([a-z]+\))? )?([a-z_0-9]+): ", source, re.MULTILINE))
    return names | set(re.findall(r'"([a-z_]+)"\.to_owned\(\)', source)) | {"type"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("queries/*.txt")), ids=lambda path: path.stem)
def test_queries_ask_for_fields_that_there_are(path):
    query = re.sub(r'"[^"]*"', "", "\n".join(line for line in path.read_text().split("\n") if not line.startswith("#")))
    made = set(re.findall(r"\bas (\w+)", query))
    language = {*"fields filter stats sort limit by as and or like in asc desc".split()}
    language |= {*"count count_distinct min max bin ispresent m".split()}
    own = {"level", "message", "error", "problems"}
    words = set(re.findall(r"(?<![@\w])[a-z_]+", re.sub(r"\d+", "", query)))
    nothing(words - made - language - own - record_fields(), "no such field")


def test_queries_are_those_of_the_playbooks():
    section = prose("docs/incident-response.md").split("\n### Queries\n")[1].split("\n### ")[0]
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE))
    assert listed == {path.stem for path in EXAMPLES.glob("queries/*.txt")}


def test_saved_queries_that_are_named_exist():
    saved = set(re.findall(r"Name: !Sub \$\{AWS::StackName\}/([a-z-]+)", read("template.yaml")))
    assert "who-got-what" in saved
    ours = {path.stem for path in EXAMPLES.glob("queries/*.txt")}
    for path in QUOTING:
        for name in re.findall(r"quer(?:y|ies) `([a-z-]+)`", prose(path)):
            assert name in saved | ours, f"{path}: {name}"


def test_alarms_that_are_named_exist():
    templates = read("template.yaml") + read("deploy/break-glass.yaml")
    alarms = set(re.findall(r"^  (\w+Alarm):$", templates, re.MULTILINE))
    assert {"BreakerAlarm", "BreakGlassAlarm"} <= alarms
    for path in QUOTING:
        named = {span for span in code_spans(prose(path)) if re.fullmatch(r"[A-Z]\w+Alarm", span)}
        nothing(named - alarms, f"{path}: no such alarm")


# IAM policies.

POLICIES = sorted(EXAMPLES.glob("**/*.json"))
GUARDRAILS = sorted(EXAMPLES.glob("iam/[sr]cp-*.json"))
OPERATOR = re.compile(
    r"(ForAnyValue:|ForAllValues:)?"
    r"(String(Not)?(Equals(IgnoreCase)?|Like)|Arn(Not)?(Equals|Like)|(Not)?IpAddress|Bool|Null|Date(LessThan|GreaterThan)(Equals)?)"
    r"(IfExists)?"
)
SERVICES = set("cloudformation cloudtrail cloudwatch codedeploy dynamodb ec2 iam kms lambda logs secretsmanager ssm sts".split())
ARN = re.compile(r"arn:aws:(%s):([a-z]{2}-[a-z]+-\d)?:(\d{12}|\*)?:[A-Za-z0-9:/_.*-]+" % "|".join(sorted(SERVICES)))


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document.keys() == {"Version", "Statement"}
    assert document["Version"] == "2012-10-17"
    return document["Statement"]


def no_duplicates(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_policies_are_well_formed(path):
    json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=no_duplicates)
    sids = [statement["Sid"] for statement in statements(path)]
    assert len(set(sids)) == len(sids) and all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)
    for statement in statements(path):
        required = {"Sid", "Effect", "Action", "Resource"}
        assert required <= statement.keys() <= required | {"Principal", "Condition"}
        assert statement["Effect"] in {"Allow", "Deny"}
        for action in listed(statement["Action"]):
            service, _, name = action.partition(":")
            assert action == "*" or (service in SERVICES and re.fullmatch(r"[A-Z][A-Za-z]*\*?", name)), action
        for resource in listed(statement["Resource"]):
            assert resource == "*" or ARN.fullmatch(resource), resource
        for operator, keys in statement.get("Condition", {}).items():
            assert OPERATOR.fullmatch(operator), operator
            for key, values in keys.items():
                assert re.fullmatch(r"(aws|sts|iam|kms|lambda|dynamodb):[A-Za-z]+([:/][A-Za-z_]+)?", key), key
                assert all(isinstance(value, str) and value for value in listed(values))
                if operator.startswith("Arn"):
                    assert all(ARN.fullmatch(value) for value in listed(values)), values
                if operator.startswith("Date"):
                    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) for value in listed(values))


@pytest.mark.parametrize("path", [*GUARDRAILS, *sorted(EXAMPLES.glob("incident/*.json"))], ids=lambda path: path.name)
def test_security_guardrails_only_deny(path):
    """THREAT: a guardrail that allows, or that names no key to tell callers apart, shuts nobody out, or everybody.
    PREVENTION: deny only, each with a condition; an SCP has no principal, an RCP has any."""
    for statement in statements(path):
        assert statement["Effect"] == "Deny"
        assert statement.get("Condition"), statement["Sid"]
        assert statement.get("Principal") == ("*" if path.name.startswith("rcp-") else None)
    # The least that AWS Organizations has ever allowed, white space included.
    assert len(path.read_text(encoding="utf-8")) <= 5120


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_security_no_example_grants_a_direct_invocation(path):
    """THREAT: an example that somebody copies grants lambda:InvokeFunction without its condition, and its holder forges
    identities.
    PREVENTION: where it is granted, it is held to the URL; where it is denied, a direct call without the key is, too."""
    for statement in statements(path):
        if "lambda:InvokeFunction" not in listed(statement["Action"]):
            continue
        expected = {"Bool": "true"} if statement["Effect"] == "Allow" else {"BoolIfExists": "false"}
        ((operator, value),) = expected.items()
        assert statement["Condition"][operator]["lambda:InvokedViaFunctionUrl"] == value


def role_actions():
    """What the template lets the function's role do."""
    role = re.split(r"^  (?=\w)", read("template.yaml").split("\n  FunctionRole:\n")[1], flags=re.MULTILINE)[0]
    policies = role.split("Policies:")[1]
    one = re.findall(r"Action: ([a-z0-9]+:\w+)$", policies, re.MULTILINE)
    blocks = re.findall(r"Action:\n((?:\s+- [a-z0-9]+:\w+\n)+)", policies)
    many = [name for block in blocks for name in re.findall(r"[a-z0-9]+:\w+", block)]
    assert "sts:AssumeRole" in many and "dynamodb:UpdateItem" in one
    return {*one, *many}


def test_the_functions_boundary_is_what_its_role_may_do():
    boundary = statements(EXAMPLES / "iam/function-boundary.json")
    assert {action for statement in boundary for action in listed(statement["Action"])} == role_actions()


def test_security_only_named_roles_are_exempt_from_guardrails():
    """THREAT: an exemption by a pattern lets in whoever can create a role that fits it.
    PREVENTION: whole role names; and roles of these names can be made by the exempt ones only. The role of Identity Center is
    below a path that IAM reserves."""
    exempt = {"sentinel-deployment", "sentinel-responder", "sentinel-tvm-FunctionRole-EXAMPLE"}
    # CodeDeploy alone may assume it: a row of tests/iam/table.yaml.
    exempt |= {"sentinel-tvm-ShiftRole-EXAMPLE"}
    exempt |= {"aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO"}
    for path in GUARDRAILS:
        for statement in statements(path):
            for operator, keys in statement["Condition"].items():
                if "aws:PrincipalArn" in keys:
                    assert operator in {"ArnNotEquals", "ArnNotLike"}
                    assert {arn.partition(":role/")[2] for arn in listed(keys["aws:PrincipalArn"])} <= exempt
    made = [s for s in statements(EXAMPLES / "iam/scp-protected-roles.json") if "iam:CreateRole" in s["Action"]]
    assert "arn:aws:iam::*:role/sentinel-*" in made[0]["Resource"]


# Terraform.


def terraform():
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("terraform/*.tf"))}


def test_terraform_grants_what_the_template_grants():
    """What CloudFormation makes on request and Terraform does not (client tokens, Parameter Store, a VPC) is the difference."""
    text = "\n".join(source for name, source in terraform().items() if name != "protected-role.tf")
    own_role = text.split('resource "aws_iam_policy" "callers"')[0] + text.split('output "function_role_arn"')[1]
    # A table's own policy grants nothing.
    own_role = re.sub(r'^resource "aws_dynamodb_resource_policy" .*?^}', "", own_role, flags=re.MULTILINE | re.DOTALL)
    granted = set(re.findall(r'"((?:logs|dynamodb|kms|secretsmanager|ssm|sts):\w+)"', own_role)) - {"kms:ViaService"}
    missing = {action for action in role_actions() if action.startswith(("ssm:", "ec2:"))}
    assert missing and granted == role_actions() - missing


def test_security_terraform_makes_no_open_url():
    """THREAT: a URL without authentication, or callers who may invoke directly, from an example that was copied.
    PREVENTION: AWS_IAM, and both conditions of the callers."""
    text = "\n".join(terraform().values())
    assert re.findall(r'authorization_type\s+= (\S+)', text) == ['"AWS_IAM"']
    callers = text.split('resource "aws_iam_policy" "callers"')[1].split("\nresource ")[0]
    assert 'Condition = { StringEquals = { "lambda:FunctionUrlAuthType" = "AWS_IAM" } }' in callers
    assert 'Condition = { Bool = { "lambda:InvokedViaFunctionUrl" = "true" } }' in callers
    assert text.count("lambda:InvokeFunction\"") == 1


def test_terraform_sets_documented_settings_and_no_secret():
    text = "\n".join(terraform().values())
    names = set(re.findall(r"^\s+\{?\s*((?:SENTINEL|MDM)_[A-Z_]+)\s+=", text, re.MULTILINE))
    names |= set(re.findall(r"\{ ((?:SENTINEL|MDM)_[A-Z_]+) =", text))
    assert "MDM_SECRET_ARN" in names and names <= settings()
    assert "aws_secretsmanager_secret_version" not in text


@pytest.mark.parametrize("name", sorted(terraform()))
def test_terraform_is_balanced(name):
    text = re.sub(r"#.*|\"(?:[^\"\\]|\\.)*\"", "", terraform()[name])
    depth, pairs = [], {")": "(", "]": "[", "}": "{"}
    for character in text:
        if character in "([{":
            depth.append(character)
        elif character in pairs:
            assert depth and depth.pop() == pairs[character], name
    assert not depth


# Manners.


@pytest.mark.parametrize("path", [*DOCUMENTS, "docs/openapi.yaml", *map(relative, sorted(EXAMPLES.glob("**/*.*")))])
def test_no_machine_path(path):
    found = re.findall(r"(?<![\w.$}])/(?:work|root|home|Users|mnt|private)/\S*|(?<!\w)/tmp/\S+|C:\\\S+", read(path))
    assert not found, found
