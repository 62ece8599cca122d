mod edges;

use super::*;
use crate::access::{AccessDraft, AccessRequest, Change, Emergency};
use crate::caller::NamedSessionRoles;
use crate::claims::{Agent, Claims, Reason, Ticket};
use crate::device::Device;
use crate::event::IamIdentity;
use bundle::BundleError;
use time::Duration;

const PROFILES: &str = r#"
    [dev]
    role_arn = "arn:aws:iam::123456789012:role/path/vended-dev"
    groups = ["g"]
"#;
const PERMIT: &str = r#"@id("p") permit (principal, action, resource);"#;

fn load(profiles: &str, cedar: &str) -> Result<Bundle, Vec<String>> {
    let parameters = [("profiles", profiles), ("policies/a", cedar)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let text = BundleFiles::from_parameters(parameters).unwrap();
    Bundle::parse(&text, &NamedSessionRoles::default()).map_err(|BundleError(problems)| problems)
}

/// Exactly one problem, with these words in it.
fn problem(profiles: &str, cedar: &str, words: &str) {
    let problems = load(profiles, cedar).unwrap_err();
    assert!(
        problems.len() == 1 && problems[0].contains(words),
        "{problems:?} should be one with {words:?}"
    );
}

#[test]
fn a_bundle_that_is_right_loads() {
    let bundle = load(PROFILES, PERMIT).unwrap();
    assert_eq!(bundle.catalogue.len(), 1);
    assert_eq!(bundle.warnings.len(), 1, "no policy names the group: {:?}", bundle.warnings);
}

#[test]
fn each_catalogue_problem_is_named() {
    let profile = |lines: &str| {
        format!("[dev]\nrole_arn = \"arn:aws:iam::123456789012:role/vended-dev\"\n{lines}\n")
    };
    for (lines, words) in [
        ("max_duration = 899", "max_duration"),
        ("max_duration = 3601", "max_duration"),
        ("max_duration = -1", "max_duration"),
        ("max_duratoin = 900", "max_duratoin"),
        ("groups = [\"\"]", "groups"),
        ("tags = { sentinelprofile = \"x\" }", "sentinelprofile"),
        ("tags = { \"aws:x\" = \"x\" }", "aws:x"),
        ("tags = { \"\" = \"x\" }", "tag key"),
        ("tags = { a = \"x\", A = \"y\" }", "taken"),
        ("tags = { a = \"${caller}\" }", "value of the tag"),
        ("tags = { a = \"<<caller>>\" }", "the tag \"a\": <<caller>> is not one of"),
        ("tags = { a = \"<<caller.name\" }", "without"),
        ("tags = { a = \"{{caller.name}}\" }", "placeholders are written <<caller.name>>"),
    ] {
        problem(&profile(lines), PERMIT, words);
    }
    problem("", PERMIT, "no profile");
    problem("[\"-x\"]\nrole_arn = \"arn:aws:iam::123456789012:role/r\"", PERMIT, "profile name");
    for arn in [
        "",
        "*",
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:iam::*:role/x",
        "arn:aws:iam::123456789012:user/x",
    ] {
        problem(&format!("[dev]\nrole_arn = \"{arn}\""), PERMIT, "[dev] role_arn");
    }
    let many: Vec<String> = (0..49).map(|n| format!("t{n} = \"\"")).collect();
    problem(&profile(&format!("[dev.tags]\n{}", many.join("\n"))), PERMIT, "42 tags");
}

#[test]
fn a_catalogue_problem_has_its_place() {
    let role = "role_arn = \"arn:aws:iam::123456789012:role/vended-dev\"";
    for (text, place) in [
        (format!("[dev]\n{role}\nmax_duration = 899"), "profiles.toml:3:1: [dev] max_duration"),
        ("[dev]\nrole_arn = \"*\"".to_owned(), "profiles.toml:2:1: [dev] role_arn is not"),
        (
            format!("[dev]\n{role}\n\n[dev.tags]\na = \"x\"\nsentinelprofile = \"x\""),
            "profiles.toml:6:1: [dev] the tag key \"sentinelprofile\"",
        ),
        (
            format!("[dev]\n{role}\ntags = {{ a = \"<<caller>>\" }}"),
            "profiles.toml:3:10: [dev] the tag \"a\": <<caller>>",
        ),
        (
            format!("[dev]\n{role}\nsession_policy = '{{'"),
            "profiles.toml:3:1: [dev] session_policy: EOF while parsing an object at line 1 column 1 of its text",
        ),
        (
            format!("[dev]\n{role}\nmax_duratoin = 900"),
            "profiles.toml:3:1: unknown field `max_duratoin`",
        ),
        ("[dev]\nrole_arn = \n".to_owned(), "profiles.toml:2:12: "),
    ] {
        let problems = load(&text, PERMIT).unwrap_err();
        assert!(problems[0].starts_with(place), "{problems:?} should begin with {place}");
    }
}

#[test]
fn a_toml_error_keeps_tomls_own_layout() {
    let problems = load("[dev]\nrole_arn = 1\n", PERMIT).unwrap_err();
    let expected = "profiles.toml:2:12: invalid type: integer `1`, expected a string\n  \
        |\n2 | role_arn = 1\n  |            ^";
    assert_eq!(problems, [expected]);
}

#[test]
fn a_star_in_the_name_of_a_permission_set_is_remarked() {
    let like = |role: &str| {
        format!(
            "@id(\"x\") permit (principal, action, resource in Sentinel::ProfileGroup::\"g\")\n\
             // AWSReservedSSO_Admin_* in a comment is none\n\
             when {{ principal.arn like \"arn:aws:sts::123456789012:assumed-role/{role}\" }};"
        )
    };
    for whole in ["AWSReservedSSO_Admin_0123456789abcdef/*", "ci-*", "AWSReservedSSO_A\\*/*"] {
        let warnings = load(PROFILES, &like(whole)).unwrap().warnings;
        assert!(!warnings.iter().any(|warning| warning.contains("star")), "{whole}: {warnings:?}");
    }
    for wide in ["AWSReservedSSO_Admin_*", "AWSReservedSSO_Admin_*/*", "AWSReservedSSO_*/ann"] {
        let warnings = load(PROFILES, &like(wide)).unwrap().warnings;
        let place = "a.cedar:3:67: the star in AWSReservedSSO_";
        assert!(warnings.iter().any(|w| w.starts_with(place)), "{wide}: {warnings:?}");
    }
}

#[test]
fn each_policy_problem_is_named() {
    for (cedar, words) in [
        ("", "no policy"),
        ("permit (principal, action, resource)", "a.cedar"),
        ("permit (principal == ?principal, action, resource);", "templates"),
        (
            "@id(\"x\") permit (principal, action, resource) when { principal.nmae == \"a\" };",
            "nmae",
        ),
        ("@id(\"x\") permit (principal, action, resource) when { principal.org == \"o\" };", "org"),
        (
            "@id(\"x\") permit (principal, action, resource) when { context.device.managed };",
            "device",
        ),
        ("@id(\"x\") permit (principal == Sentinel::User::\"a\", action, resource);", "User"),
        ("@id(\"x\") permit (principal, action == Sentinel::Action::\"read\", resource);", "read"),
        ("@reson(\"x\") forbid (principal, action, resource);", "@reson"),
        ("@mode(\"shadows\") permit (principal, action, resource);", "@mode"),
        ("@max_duration(\"899\") permit (principal, action, resource);", "@max_duration"),
        ("@max_duration(\"3601\") permit (principal, action, resource);", "@max_duration"),
        ("@max_duration(\"1e3\") permit (principal, action, resource);", "@max_duration"),
        ("@max_duration(\"900\") forbid (principal, action, resource);", "@max_duration"),
        ("@reason(\"\") forbid (principal, action, resource);", "@reason"),
        ("@id(\"a\\nb\") forbid (principal, action, resource);", "@id"),
        (
            "@id(\"x\") permit (principal, action, resource); @id(\"x\") forbid (principal, action, resource);",
            "twice",
        ),
    ] {
        let problems = load(PROFILES, cedar).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.contains(words)),
            "{problems:?} should have {words:?}"
        );
        assert!(
            problems.iter().all(|problem| problem.starts_with("a.cedar")
                || problem.starts_with("*.cedar: there is no")),
            "{problems:?}"
        );
    }
}

#[test]
fn each_error_has_its_place() {
    let same = r#"resource == Sentinel::Profile::"dve""#;
    let twice = format!(
        "@id(\"p\") permit (principal, action, {same});\n@id(\"f\") forbid (principal, action, {same});"
    );
    problem(PROFILES, &twice, "a.cedar:2:49: f: ");
    problem(
        PROFILES,
        "permit (principal, action, resource)\nwhen { principal.nmae == \"a\" };",
        "a.cedar:2:8: ",
    );
    problem(
        PROFILES,
        "permit (principal, action, resource);\n@reson(\"x\")\nforbid (principal, action, resource);",
        "a.cedar:2:1: ",
    );
    problem(
        PROFILES,
        "permit (principal, action, resource);\npermit (principal == ?principal, action, resource);",
        "a.cedar:2:22: ",
    );
    problem(
        PROFILES,
        "@id(\"x\")\npermit (principal, action, resource)\nwhen { principal.name == \"a };",
        "a.cedar:3:26: ",
    );
    problem(PROFILES, "permit (principal, action, resource in);", "a.cedar:1:39: ");
    problem(PROFILES, "permit (principal, action, resource)", "a.cedar:1:37: ");
}

/// THREAT: a policy so deeply nested that the parser's stack overflows ends the process, and with
/// it the last good policy. PREVENTION: such a policy is refused before it is parsed; and loading
/// has a large stack of its own.
#[test]
fn security_a_deeply_nested_policy_is_refused() {
    let nested = |depth: usize| {
        format!(
            "permit (principal, action, resource)\nwhen {{ {}true{} }};",
            "(".repeat(depth),
            ")".repeat(depth)
        )
    };
    let load = |cedar: &str| {
        let parameters = [("profiles", PROFILES), ("policies/a", cedar)]
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let terms = BundleOptions {
            default_duration: SessionDuration::MIN,
            named_session_roles: NamedSessionRoles::default(),
        };
        Policy::load(&BundleFiles::from_parameters(parameters).unwrap(), &terms)
            .map_err(|BundleError(problems)| problems)
    };
    assert!(load(&nested(60)).is_ok());
    for depth in [64, 1_000, 100_000] {
        assert_eq!(
            load(&nested(depth)).unwrap_err(),
            ["a.cedar:2:71: brackets are nested deeper than 64"],
            "{depth}"
        );
    }
    let chain = format!(
        "permit (principal, action, resource) when {{ principal{} == 1 }};",
        ".a".repeat(1_000)
    );
    assert!(load(&chain).is_err(), "the validator gets to its end");
}

#[test]
fn all_problems_are_told_together() {
    let problems = load(
        "[dev]\nrole_arn = \"x\"\nmax_duration = 1",
        "permit (principal, action, resource) when { 1 };",
    )
    .unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_permit_about_nothing_is_remarked_and_so_is_a_group_without_a_rule() {
    let cedar = r#"@id("x") permit (principal, action, resource in Sentinel::ProfileGroup::"prodution");
        @id("y") permit (principal, action, resource == Sentinel::Profile::"dve");"#;
    let mut warnings = load(PROFILES, cedar).unwrap().warnings;
    warnings.sort();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].starts_with("a.cedar:1:49: x: no profile is in the group"), "{warnings:?}");
    assert!(warnings[1].starts_with("a.cedar:2:57: y: there is no profile"), "{warnings:?}");
    assert!(
        warnings[2].starts_with("profiles.toml: no policy names the group \"g\""),
        "{warnings:?}"
    );
}

/// THREAT: a forbid with a misspelt profile, group or caller never applies, and nobody notices.
/// PREVENTION: such a bundle does not load.
#[test]
fn security_a_forbid_about_nothing_does_not_load() {
    for scope in [
        r#"principal, action, resource in Sentinel::ProfileGroup::"prodution""#,
        r#"principal, action, resource == Sentinel::Profile::"dve""#,
        r#"principal == Sentinel::Caller::"alice", action, resource"#,
        r#"principal == Sentinel::Caller::"arn:aws:iam::123456789012:role/contractor", action, resource"#,
        r#"principal == Sentinel::Caller::"arn:aws:sts::123456789012:federated-user/alice", action, resource"#,
        r#"principal == Sentinel::Caller::"arn:aws:sts::123456789012:assumed-role/ci/build-1", action, resource"#,
        r#"principal == Sentinel::Caller::"arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_01", action, resource"#,
    ] {
        problem(PROFILES, &format!("@id(\"x\") forbid ({scope});"), ": x: ");
    }
    let impossible =
        r#"@id("x") forbid (principal, action, resource) when { context has devcie };"#;
    problem(PROFILES, impossible, "a.cedar:1:");
    for principal in [
        "sts::123456789012:assumed-role/AWSReservedSSO_Dev_01/a@b",
        "iam::123456789012:user/a/b",
        "sts::123456789012:assumed-role/ci",
        "sts::123456789012:federated-user",
        "iam::123456789012:root",
    ] {
        let forbid = format!(
            "forbid (principal == Sentinel::Caller::\"arn:aws:{principal}\", action, resource);"
        );
        assert!(load(PROFILES, &forbid).is_ok(), "{principal}");
    }
}

#[test]
fn several_permits_give_the_longest_session_that_one_of_them_gives() {
    let alice = "arn:aws:iam::123456789012:user/alice";
    let granted = |cedar: &str, wish: u32| {
        let duration = SessionDuration::from_seconds(wish);
        let request = VendRequest { duration, ..VendRequest::of(dev()) };
        let (decision, _) = policy(PROFILES, cedar).decide(
            &caller(alice),
            &request,
            None,
            &RequestId::new("0a1b2c3d"),
            monday_noon(),
        );
        let grant = decision.into_grant().unwrap();
        (grant.duration().seconds(), grant.clamped_by())
    };
    let short = r#"@max_duration("900") permit (principal, action, resource);"#;
    let longer = r#"@max_duration("1800") permit (principal, action, resource);"#;
    let unmatched = r#"permit (principal, action, resource) when { principal.name == "bob" };"#;
    assert_eq!(granted(short, 3_600), (900, Some(Clamp::Policy)));
    assert_eq!(
        granted(&format!("{short}{longer}{unmatched}"), 3_600),
        (1_800, Some(Clamp::Policy))
    );
    assert_eq!(granted(&format!("{short}{longer}"), 1_200), (1_200, None));
    assert_eq!(granted(&format!("{short}{PERMIT}"), 7_200), (3_600, Some(Clamp::RoleChaining)));
}

#[test]
fn shadow_policies_change_nothing_but_the_record() {
    let alice = caller("arn:aws:iam::123456789012:user/alice");
    let request = VendRequest::of(dev());
    let outcome = |cedar: &str| {
        let id = RequestId::new("0a1b2c3d");
        let (decision, shadow) =
            policy(PROFILES, cedar).decide(&alice, &request, None, &id, monday_noon());
        (decision.into_grant().is_ok(), shadow)
    };
    let forbid = r#"@id("f") @mode("shadow") forbid (principal, action, resource);"#;
    let permit = r#"@id("s") @mode("shadow") permit (principal, action, resource);"#;
    let elsewhere =
        r#"@mode("shadow") forbid (principal, action, resource) when { principal.name == "bob" };"#;
    assert_eq!(outcome(PERMIT), (true, Shadow::Nothing));
    assert_eq!(outcome(&format!("{PERMIT}{elsewhere}")), (true, Shadow::Nothing));
    assert_eq!(
        outcome(&format!("{PERMIT}{forbid}")),
        (true, Shadow::WouldDeny(vec!["f".to_owned()]))
    );
    assert_eq!(outcome(permit), (false, Shadow::WouldAllow(vec!["s".to_owned()])));
}

#[test]
fn policies_without_an_id_are_named_by_file_and_place() {
    let policy = policy(PROFILES, "permit (principal, action, resource);");
    let decision = decide(&policy, "arn:aws:iam::123456789012:user/alice", "dev", monday_noon());
    assert_eq!(decision.rules(), ["a.cedar#policy0"]);
}

/// Whether the one permit of `cedar` is remarked as resting on claims alone.
fn remarks_claims(cedar: &str, is_remarked: bool) {
    let policy = policy(PROFILES, cedar);
    let remarked = policy.warnings().iter().any(|it| it.contains("rests on what the caller says"));
    assert_eq!(remarked, is_remarked, "{cedar}: {:?}", policy.warnings());
}

/// The same, for a permit for `dev` with this condition.
fn remarks_condition(condition: &str, is_remarked: bool) {
    let scope =
        "principal, action == Sentinel::Action::\"vend\", resource == Sentinel::Profile::\"dev\"";
    remarks_claims(&format!("permit ({scope}) when {{ {condition} }};"), is_remarked);
}

#[test]
fn a_permit_that_rests_on_claims_alone_is_remarked() {
    let ticket = "context.claimed has ticket";
    for (condition, is_remarked) in [
        (ticket.to_owned(), true),
        (format!("{ticket} && context.weekday <= 5 && context.duration <= 900"), true),
        (format!("!(!({ticket}))"), true),
        (format!("{ticket} || principal.name == \"alice\""), true),
        (format!("if {ticket} then true else principal.name == \"alice\""), true),
        (format!("if principal.name == \"alice\" then true else {ticket}"), false),
        (format!("{ticket} && principal.name == \"alice\""), false),
        (format!("{ticket} && context has approval"), false),
        (format!("{ticket} && context has device"), false),
        (format!("{ticket} && !(context has device)"), true),
        (format!("if context has device then principal.name == \"alice\" else {ticket}"), true),
        ("context.claimed has agent && context.claimed.agent == principal.name".to_owned(), true),
        (format!("{ticket} && context has device && context.device.compliant"), false),
        (format!("!(!({ticket}) || principal.name != \"alice\")"), false),
        ("context.weekday <= 5".to_owned(), false),
    ] {
        remarks_condition(&condition, is_remarked);
    }
    for (cedar, is_remarked) in [
        (
            "permit (principal == Sentinel::Caller::\"arn:aws:iam::123456789012:user/alice\", action, resource) when { context.claimed has ticket };",
            false,
        ),
        ("permit (principal, action, resource) unless { !(context.claimed has ticket) };", true),
        ("permit (principal, action, resource) unless { context.claimed has agent };", true),
        (
            "permit (principal, action, resource) when { context.claimed has ticket } unless { context has approval };",
            true,
        ),
        (
            "@mode(\"shadow\") permit (principal, action, resource) when { context.claimed has ticket };",
            false,
        ),
        (
            "permit (principal, action, resource) when { context.claimed has ticket } unless { principal.name != \"alice\" };",
            false,
        ),
        (
            "permit (principal, action, resource) when { principal.name == \"alice\" }; forbid (principal, action, resource) unless { context.claimed has ticket };",
            false,
        ),
    ] {
        remarks_claims(cedar, is_remarked);
    }
}

/// THREAT: a `forbid` that names a scope which no profile has never applies, and nobody notices.
/// PREVENTION: it does not load. In a `permit` it is remarked.
#[test]
fn security_a_scope_that_no_profile_has_is_an_error_in_a_forbid() {
    let profiles = format!(
        "{PROFILES}\n[dev.scopes.read-only]\npolicy_arns = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]"
    );
    let forbid = |condition: &str| {
        format!("{PERMIT} forbid (principal, action, resource) when {{ {condition} }};")
    };
    for condition in [
        "context has scope && context.scope == \"raed-only\"",
        "context has scope && \"raed-only\" != context.scope",
        "context has scope && [\"read-only\", \"raed-only\"].contains(context.scope)",
    ] {
        problem(&profiles, &forbid(condition), "no profile has the scope \"raed-only\"");
    }
    policy(&profiles, &forbid("context has scope && context.scope == \"read-only\""));
    let permit = "permit (principal, action, resource) when { context has scope && context.scope == \"raed-only\" };";
    let warnings = policy(&profiles, permit).warnings().join("\n");
    assert!(warnings.contains("no profile has the scope"), "{warnings}");
}

/// `schema.json` is what the program validates with, `sentinel.cedarschema` what people read.
#[test]
fn both_forms_of_the_schema_are_the_same() {
    let text = include_str!("../../policy/sentinel.cedarschema");
    let (fragment, _) = cedar_policy::SchemaFragment::from_cedarschema_str(text).unwrap();
    let expected = fragment.to_json_value().unwrap();
    let held: serde_json::Value = serde_json::from_str(include_str!("schema.json")).unwrap();
    assert!(
        held == expected,
        "put this into src/policy/schema.json:\n{}",
        serde_json::to_string_pretty(&expected).unwrap()
    );
}

#[test]
fn cedar_requests_satisfy_the_schema() {
    let schema = cedar_policy::Schema::from_cedarschema_str(include_str!(
        "../../policy/sentinel.cedarschema"
    ))
    .unwrap()
    .0;
    let policy = policy(PROFILES, PERMIT);
    let profile = policy.bundle.catalogue.values().next().unwrap();
    for arn in [
        "arn:aws:iam::123456789012:user/alice",
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_X/a@b",
    ] {
        let device = device("a@b");
        let access = access_request(arn);
        let approved = access.clone().change(Change::Approve, "bob", monday_noon()).unwrap();
        let approval = approved.approval(&caller(arn), &dev(), monday_noon()).unwrap();
        let emergency = emergency(arn);
        let asked = VendRequest {
            scope: ScopeName::try_from("read-only".to_owned()).ok(),
            claims: Claims {
                reason: Reason::parse("an outage"),
                ticket: Ticket::parse("OPS-1"),
                agent: Agent::parse("pipeline"),
            },
            ..VendRequest::of(dev())
        };
        for action in [
            Action::Vend(None),
            Action::Vend(Some(&asked)),
            Action::Approve(&access),
            Action::BreakGlass(&emergency),
        ] {
            let context = RequestContext {
                device: Some(&device),
                approval: Some(&approval),
                emergency: Some(&emergency),
                ..RequestContext::of(action, SessionDuration::MIN, monday_noon())
            };
            satisfies(&schema, &CedarRequest::new(&caller(arn), profile, context).unwrap());
        }
    }
}

fn satisfies(schema: &cedar_policy::Schema, asked: &CedarRequest) {
    let request = asked.request();
    cedar_policy::Entities::from_entities(asked.entities().iter().cloned(), Some(schema)).unwrap();
    let part = |uid: Option<&cedar_policy::EntityUid>| uid.unwrap().clone();
    let (principal, action, resource) =
        (part(request.principal()), part(request.action()), part(request.resource()));
    let context = request.context().unwrap().clone();
    cedar_policy::Request::new(principal, action, resource, context, Some(schema)).unwrap();
}

fn emergency(arn: &str) -> Emergency {
    let draft = AccessDraft {
        profile: dev(),
        reason: Reason::parse("the database is on fire").unwrap(),
        ticket: Ticket::parse("OPS-1"),
        duration: None,
    };
    Emergency::new(&caller(arn), draft, monday_noon()).unwrap()
}

fn access_request(arn: &str) -> AccessRequest {
    let draft = AccessDraft {
        profile: dev(),
        reason: Reason::parse("an outage").unwrap(),
        ticket: Ticket::parse("OPS-1"),
        duration: None,
    };
    let id = RequestId::new("00000000-0000-0000-0000-000000000000");
    AccessRequest::new(&caller(arn), draft, SessionDuration::MIN, &id, monday_noon())
}

#[test]
fn only_profiles_whose_policies_can_read_an_approval_mention_it() {
    let profiles = r#"
        [one]
        role_arn = "arn:aws:iam::123456789012:role/one"
        groups = ["g"]
        [two]
        role_arn = "arn:aws:iam::123456789012:role/two"
    "#;
    let mentions = |cedar: &str| {
        let policy = policy(profiles, &format!("{PERMIT}{cedar}"));
        ["one", "two"]
            .map(|name| policy.mentions_approval(&ProfileName::try_from(name.to_owned()).unwrap()))
    };
    let reading = |scope: &str| {
        format!(
            "permit (principal, action == Sentinel::Action::\"vend\", {scope}) when {{ context has approval }};"
        )
    };
    assert_eq!(mentions(""), [false, false]);
    assert_eq!(mentions(&reading("resource")), [true, true]);
    assert_eq!(mentions(&reading("resource == Sentinel::Profile::\"two\"")), [false, true]);
    assert_eq!(mentions(&reading("resource in Sentinel::ProfileGroup::\"g\"")), [true, false]);
    let shadow = format!("@mode(\"shadow\") {}", reading("resource == Sentinel::Profile::\"one\""));
    assert_eq!(mentions(&shadow), [true, false], "policies in shadow mode, too");

    let vend = |condition: &str| {
        format!(
            "permit (principal, action == Sentinel::Action::\"vend\", resource) when {{ {condition} }};"
        )
    };
    let escaped = r#"context has "\u{61}pproval" && context["\u{61}pproval"].by == "a""#;
    assert_eq!(mentions(&vend(escaped)), [true, true], "the word with an escape");
    assert_eq!(mentions(&vend("context == context")), [true, true], "context as a whole");
    assert_eq!(mentions(&vend("context\n.duration > 1")), [false, false], "context in pieces");
}

/// Policies of version 1 of the schema: every attribute that they could read is where it was.
#[test]
fn a_policy_for_any_action_still_reads_everything_about_credentials() {
    let cedar = r#"
        permit (principal, action, resource) when {
          context.now > datetime("2026-01-01") && context.weekday < 6 && context.duration < 901
            && context.source_ip.isIpv6() && context has device && context.device.compliant
        };
    "#;
    load(PROFILES, cedar).unwrap();
}

fn dev() -> ProfileName {
    ProfileName::try_from("dev".to_owned()).unwrap()
}

fn policy(profiles: &str, cedar: &str) -> Policy {
    let bundle = load(profiles, cedar).unwrap();
    Policy { bundle, default_duration: SessionDuration::MIN }
}

fn caller(arn: &str) -> Caller {
    let identity = IamIdentity { org: Some("o-1".into()), ..IamIdentity::of_arn(arn) };
    let source_ip = Some("2001:db8::1".parse().unwrap());
    let named = NamedSessionRoles::default();
    let named = named.of_function_in(Some("123456789012"));
    Caller::verified(&identity, source_ip, named).unwrap()
}

fn decide(policy: &Policy, arn: &str, profile: &str, now: UtcDateTime) -> Decision {
    decide_on(policy, arn, profile, None, now)
}

fn decide_on(
    policy: &Policy,
    arn: &str,
    profile: &str,
    device: Option<&Device>,
    now: UtcDateTime,
) -> Decision {
    let profile = ProfileName::try_from(profile.to_owned()).unwrap();
    let request = VendRequest::of(profile);
    policy.decide(&caller(arn), &request, device, &RequestId::new("0a1b2c3d"), now).0
}

/// A compliant device of `owner`, seen an hour ago.
fn device(owner: &str) -> Device {
    Device {
        managed: true,
        compliant: true,
        owner: Some(owner.to_owned()),
        last_seen: Some(monday_noon() - Duration::hours(1)),
        os_version: Some("26.1".to_owned()),
        provider: "jamf",
    }
}

/// 2 March 2026, 12:00 UTC.
fn monday_noon() -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(1_772_452_800).unwrap()
}
