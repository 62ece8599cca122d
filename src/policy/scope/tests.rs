mod edges;

use super::*;
use crate::caller::NamedSessionRoles;
use crate::claims::{Agent, Reason, Ticket};
use crate::event::IamIdentity;
use proptest::prelude::*;
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/vended";

fn settings() -> ScopeSettings {
    ScopeSettings {
        tags: BTreeMap::new(),
        transitive_tags: Vec::new(),
        session_policy: None,
        policy_arns: Vec::new(),
        bind_source_ip: false,
        scopes: BTreeMap::new(),
    }
}

fn marks<'a>(profile: &'a ProfileName, request_id: &'a RequestId, claims: &'a Claims) -> Marks<'a> {
    Marks { profile, request_id, approval: None, emergency: None, scope: None, claims }
}

fn tag(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

fn statement(statement: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
}

fn allow(resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": "s3:*", "Resource": resource })
}

fn scope(settings: ScopeSettings) -> ProfileScope {
    let (scope, problems) = settings.check(ROLE);
    assert!(problems.is_empty(), "{problems:?}");
    scope
}

fn problems(settings: ScopeSettings) -> Vec<String> {
    settings.check(ROLE).1
}

/// One problem, with these words in it.
fn problem(settings: ScopeSettings, words: &str) {
    let problems = problems(settings);
    assert!(
        problems.len() == 1 && problems[0].contains(words),
        "{problems:?} should be one with {words:?}"
    );
}

fn caller(arn: &str, org: Option<&str>, ip: Option<&str>) -> Option<Caller> {
    let identity = IamIdentity { org: org.map(Into::into), ..IamIdentity::of_arn(arn) };
    let source_ip = ip.map(|ip| ip.parse().unwrap());
    let named = NamedSessionRoles::default();
    let named = named.of_function_in(Some("123456789012"));
    Caller::verified(&identity, source_ip, named).ok()
}

fn alice() -> Caller {
    caller("arn:aws:iam::123456789012:user/team*/$x/alice", Some("o-1"), Some("198.51.100.7"))
        .unwrap()
}

fn policy_for(settings: ScopeSettings, caller: &Caller) -> Value {
    serde_json::from_str(&scope(settings).narrow(caller, None).unwrap().policy.unwrap()).unwrap()
}

#[test]
fn a_session_policy_is_filled_with_the_callers_attributes() {
    let template = statement(&json!([{
        "Sid": "Home", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": "arn:aws:s3:::homes/<<caller.account>>/<<caller.name>>/*",
        "Condition": {
            "StringEquals": { "aws:PrincipalTag/Arn": ["<<caller.arn>>", "x"] },
            "Bool": { "aws:SecureTransport": true },
            "NumericEquals": { "s3:max-keys": [100, 1.5] },
        },
    }]));
    let policy =
        policy_for(ScopeSettings { session_policy: Some(template), ..settings() }, &alice());
    let filled = &policy["Statement"][0];
    assert_eq!(filled["Resource"], "arn:aws:s3:::homes/123456789012/alice/*");
    assert_eq!(filled["Condition"]["Bool"]["aws:SecureTransport"], "true");
    assert_eq!(filled["Condition"]["NumericEquals"]["s3:max-keys"], json!(["100", "1.5"]));
    let arn = &filled["Condition"]["StringEquals"]["aws:PrincipalTag/Arn"];
    assert_eq!(*arn, json!(["arn:aws:iam::123456789012:user/team${*}/${$}x/alice", "x"]));
}

#[test]
fn tags_are_filled_and_those_of_every_session_come_first() {
    let scope = scope(ScopeSettings {
        tags: tag("Owner", "<<caller.name>>@<<caller.account>>"),
        transitive_tags: vec!["Owner".to_owned(), "SentinelProfile".to_owned()],
        ..settings()
    });
    let profile = ProfileName::try_from("dev".to_owned()).unwrap();
    let session = scope.narrow(&alice(), None).unwrap().marked(&marks(
        &profile,
        &RequestId::new("0a1b2c3d"),
        &Claims::default(),
    ));
    let tags: Vec<(&str, &str)> =
        session.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        tags,
        [
            ("SentinelProfile", "dev"),
            ("SentinelRequestId", "0a1b2c3d"),
            ("Owner", "alice@123456789012")
        ]
    );
    assert_eq!(session.transitive_tags, ["Owner", "SentinelProfile"]);
}

/// THREAT: credentials are stolen and used from elsewhere; or the policy that binds them widens
/// what managed policies narrowed. PREVENTION: a Deny for every other address, added to what
/// narrows the session; an Allow only where nothing else allows.
#[test]
fn security_a_bound_session_works_only_from_the_callers_address() {
    let deny = json!({
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {
            "NotIpAddress": { "aws:SourceIp": "198.51.100.7/32" },
            "Bool": { "aws:ViaAWSService": "false" },
        },
    });
    let bound = || ScopeSettings { bind_source_ip: true, ..settings() };
    let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    assert_eq!(policy_for(bound(), &alice())["Statement"], json!([everything, deny]));
    let managed = ScopeSettings {
        policy_arns: vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()],
        ..bound()
    };
    assert_eq!(
        policy_for(managed, &alice())["Statement"],
        json!([deny]),
        "the managed policies are what allows"
    );
    let inline = ScopeSettings { session_policy: Some(statement(&allow("*"))), ..bound() };
    assert_eq!(policy_for(inline, &alice())["Statement"], json!([allow("*"), deny]));
    let ipv6 = caller("arn:aws:iam::123456789012:user/a", None, Some("2001:db8::7")).unwrap();
    let condition = policy_for(bound(), &ipv6)["Statement"][1]["Condition"]["NotIpAddress"].clone();
    assert_eq!(condition, json!({ "aws:SourceIp": "2001:db8::7/128" }));
    let nowhere = caller("arn:aws:iam::123456789012:user/a", None, None).unwrap();
    assert_eq!(scope(bound()).narrow(&nowhere, None), Err(Unscopable::Address));
}

/// THREAT: a caller without an attribute gets a policy or tag in which it is empty, such as
/// `homes//*`; or one whose attribute STS does not take gets another one's tag. PREVENTION: such a
/// caller is refused.
#[test]
fn security_a_caller_whom_a_template_does_not_fit_is_refused() {
    let bob = caller("arn:aws:iam::123456789012:user/b,o,b", None, None).unwrap();
    let refused = |settings| scope(settings).narrow(&bob, None).unwrap_err();
    let policy = |resource: &str| ScopeSettings {
        session_policy: Some(statement(&allow(resource))),
        ..settings()
    };
    assert_eq!(
        refused(policy("arn:aws:s3:::x/<<caller.org>>/*")),
        Unscopable::Missing("caller.org")
    );
    assert_eq!(
        refused(policy("arn:aws:s3:::x/<<caller.session_name>>/*")),
        Unscopable::Missing("caller.session_name")
    );
    assert_eq!(
        refused(ScopeSettings { tags: tag("Org", "<<caller.org>>"), ..settings() }),
        Unscopable::Missing("caller.org")
    );
    assert_eq!(
        refused(ScopeSettings { tags: tag("Owner", "<<caller.name>>"), ..settings() }),
        Unscopable::Tag
    );
    let long = caller(&format!("arn:aws:iam::123456789012:user/{}/a", "*".repeat(500)), None, None)
        .unwrap();
    let by_arn = scope(policy("arn:aws:s3:::x/<<caller.arn>>/*"));
    assert_eq!(by_arn.narrow(&long, None), Err(Unscopable::Policy));
}

#[test]
fn each_problem_is_named() {
    problem(
        ScopeSettings { transitive_tags: vec!["Team".to_owned()], ..settings() },
        "transitive_tags has \"Team\"",
    );
    let twice = vec!["a".to_owned(), "a".to_owned()];
    problem(ScopeSettings { tags: tag("a", ""), transitive_tags: twice, ..settings() }, "twice");
    problem(
        ScopeSettings { tags: tag("a", &"x".repeat(257)), ..settings() },
        "the value of the tag \"a\"",
    );
    problem(
        ScopeSettings { tags: tag("a", &"<<caller.name>>".repeat(5)), ..settings() },
        "the value of the tag \"a\"",
    );
    let arns = |arns: Vec<String>| ScopeSettings { policy_arns: arns, ..settings() };
    problem(
        arns((0..11).map(|n| format!("arn:aws:iam::aws:policy/p{n}")).collect()),
        "more than 10",
    );
    for arn in [
        "arn:aws:iam::999999999999:policy/p",
        "arn:aws-cn:iam::aws:policy/p",
        "arn:aws:iam::aws:policy/*",
        "arn:aws:iam::123456789012:role/p",
        "",
    ] {
        problem(arns(vec![arn.to_owned()]), "no managed policy");
    }
    for fine in [
        "arn:aws:iam::123456789012:policy/team/p",
        "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
    ] {
        assert!(problems(arns(vec![fine.to_owned()])).is_empty(), "{fine}");
    }
}

#[test]
fn a_session_policy_that_sts_would_refuse_does_not_load() {
    let change = |key: &str, value: Value| {
        let mut changed = allow("*");
        changed[key] = value;
        statement(&changed)
    };
    for (text, words) in [
        ("", "session_policy: "),
        ("[]", "session_policy: "),
        ("{}", "Version"),
        (r#"{"Version":"2008-10-17","Statement":[]}"#, "2008-10-17"),
        (r#"{"Version":"2012-10-17","Statement":[]}"#, "empty"),
        (
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}}"#,
            "duplicate",
        ),
        (&change("Effect", json!("allow")), "allow"),
        (&change("Principal", json!("*")), "Principal"),
        (&change("NotAction", json!("s3:*")), "either Action"),
        (&change("NotResource", json!("*")), "either Resource"),
        (&change("Action", json!([])), "an action"),
        (&change("Action", json!([["s3:*"]])), "list in a list"),
        (&change("Action", json!("s3")), "an action"),
        (&change("Action", json!("s3:<<caller.name>>")), "an action"),
        (&change("Resource", json!("bucket")), "a resource"),
        (&change("Resource", json!([])), "a resource"),
        (&change("Resource", json!("arn:aws:s3:::x/<<caller.nmae>>")), "<<caller.nmae>>"),
        (&change("Sid", json!("a b")), "Sid"),
        (&change("Condition", json!({ "StringEqual": { "aws:x": "" } })), "operator"),
        (&change("Condition", json!({ "StringEquals": {} })), "no key"),
        (&change("Condition", json!({ "StringEquals": { "SourceIp": "" } })), "PREFIX:NAME"),
        (&change("Condition", json!({ "StringEquals": { "aws:x": [] } })), "no value"),
        (
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*",
                "Condition":{"StringEquals":{"aws:x":"1","aws:x":"2"}}}}"#,
            "duplicate key",
        ),
        (&change("Resource", json!(format!("arn:aws:s3:::x/{}", "y".repeat(2_000)))), "2048"),
        (
            &change("Resource", json!(format!("arn:aws:s3:::x/{}", "<<caller.name>>".repeat(31)))),
            "2048",
        ),
        (&change("Resource", json!("arn:aws:s3:::x/\u{20ac}")), "Latin-1"),
    ] {
        problem(ScopeSettings { session_policy: Some(text.to_owned()), ..settings() }, words);
    }
}

/// What IAM reads where a policy has escapes.
fn unescaped(text: &str) -> String {
    text.replace("${*}", "*").replace("${?}", "?").replace("${$}", "$")
}

/// STS's own patterns, as in the aws-sdk-sts model: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*` for tags,
/// `[ -\xff]+` for policies.
fn sts_takes(session: &SessionScope) {
    let tag = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
    assert!(session.tags.len() <= 50);
    for (key, value) in &session.tags {
        assert!(
            (1..=128).contains(&key.len()) && value.len() <= 256 && tag(key) && tag(value),
            "{key}={value}"
        );
    }
    assert!(
        session
            .transitive_tags
            .iter()
            .all(|key| session.tags.iter().any(|(known, _)| known == key))
    );
    if let Some(policy) = &session.policy {
        assert!((1..=2_048).contains(&policy.chars().count()), "{policy}");
        assert!(policy.chars().all(|c| (' '..='\u{ff}').contains(&c)), "{policy}");
        serde_json::from_str::<Value>(policy).unwrap();
    }
}

fn arns() -> impl Strategy<Value = String> {
    let name = "[A-Za-z0-9_+=,.@-]{2,64}";
    prop_oneof![
        (prop::collection::vec("[!-~]{1,40}", 0..4), name).prop_map(|(path, name)| {
            let path: String = path
                .iter()
                .flat_map(|segment| [segment.replace('/', "_"), "/".to_owned()])
                .collect();
            format!("arn:aws:iam::123456789012:user/{path}{name}")
        }),
        (name, name).prop_map(|(role, session)| format!(
            "arn:aws:sts::123456789012:assumed-role/{role}/{session}"
        )),
        name.prop_map(|person| format!(
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_x/{person}"
        )),
    ]
}

fn callers() -> impl Strategy<Value = Caller> {
    let org = prop_oneof![8 => "o-[a-z0-9]{10}", 1 => any::<String>()];
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u16; 8]>().prop_map(IpAddr::from)
    ];
    (arns(), prop::option::weighted(0.9, org), prop::option::weighted(0.9, address)).prop_map(
        |(arn, org, ip)| {
            let ip = ip.map(|ip| ip.to_string());
            caller(&arn, org.as_deref(), ip.as_deref()).unwrap()
        },
    )
}

/// Texts around placeholders: mostly such that load, and some in bad taste.
fn templates() -> impl Strategy<Value = String> {
    let text = || prop_oneof![8 => "[!-z]{0,20}", 1 => any::<String>()];
    let good = || {
        let names = vec![
            "caller.arn",
            "caller.account",
            "caller.name",
            " caller.name ",
            "caller.kind",
            "caller.session_name",
            "caller.org",
        ];
        prop::sample::select(names).prop_map(|name| format!("<<{name}>>"))
    };
    let bad =
        prop::sample::select(vec!["<<other>>", "<<", ">>", "${*}", "<<>>"]).prop_map(str::to_owned);
    (text(), good(), text(), prop_oneof![8 => good(), 1 => bad])
        .prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}"))
}

fn tag_templates() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[A-Za-z0-9 _.:/=+@-]{0,20}".prop_map(|text| format!("{text}<<caller.name>>")), 1 => templates()]
}

proptest! {
    // Most of what is tried does not load; these are enough that some hundreds do.
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// THREAT: an attribute of a caller, or an odd text in the catalogue, breaks out of the JSON of
    /// a session policy, acts as a wildcard in it, or makes STS refuse the request for its form.
    /// PREVENTION: it is refused when the profile is loaded or the caller asks; else it is in the
    /// policy as it is, escaped, in its place, and STS takes it.
    #[test]
    fn security_nothing_alters_the_json_or_makes_sts_refuse_its_form(
        caller in callers(), resource in templates(), value in templates(), tag_value in tag_templates(), bound in any::<bool>(),
    ) {
        let resource = format!("arn:aws:s3:::{resource}");
        let mut changed = allow(&resource);
        changed["Condition"] = json!({ "StringEquals": { "aws:PrincipalTag/x": value } });
        let (profile, problems) = ScopeSettings {
            tags: tag("Owner", &tag_value),
            session_policy: Some(statement(&changed)),
            bind_source_ip: bound,
            ..settings()
        }.check(ROLE);
        if !problems.is_empty() {
            return Ok(());
        }
        let Ok(session) = profile.narrow(&caller, None) else {
            return Ok(());
        };
        sts_takes(&session);
        let policy: Value = serde_json::from_str(session.policy.as_deref().unwrap()).unwrap();
        let expected = |template: &str| {
            let lookup = |attribute: Attribute| attribute.of(&caller);
            Template::try_from(template.to_owned()).unwrap().fill(&lookup).unwrap()
        };
        let statement = &policy["Statement"][0];
        let text = |value: &Value| unescaped(value.as_str().unwrap());
        prop_assert_eq!(text(&statement["Resource"]), unescaped(&expected(&resource)));
        prop_assert_eq!(text(&statement["Condition"]["StringEquals"]["aws:PrincipalTag/x"]), unescaped(&expected(&value)));
        prop_assert_eq!(statement.as_object().unwrap().len(), 4);
        let stars = |text: &str| text.replace("${*}", "").replace("${?}", "").matches(['*', '?']).count();
        let own_stars = stars(&Template::try_from(resource.clone()).unwrap().fill(&|_| Some(String::new())).unwrap());
        prop_assert_eq!(stars(statement["Resource"].as_str().unwrap()), own_stars, "the caller brings no wildcard");
    }
}

fn read_only() -> ScopeName {
    ScopeName::try_from("read-only".to_owned()).unwrap()
}

fn with_scope(own: ScopeSettings, scope: &Value) -> ScopeSettings {
    let toml: NamedScopeToml = serde_json::from_value(scope.clone()).unwrap();
    ScopeSettings { scopes: BTreeMap::from([(read_only(), toml)]), ..own }
}

/// A scope with these statements in its session policy.
fn statements(statements: &Value) -> Value {
    json!({ "session_policy": statement(statements) })
}

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

#[test]
fn each_problem_of_a_scope_is_named_with_the_scope() {
    let (get, other_sid) =
        (allow("*"), json!([{ "Sid": "b", "Effect": "Deny", "Action": "s3:*", "Resource": "*" }]));
    let own = || ScopeSettings { session_policy: Some(statement(&get)), ..settings() };
    let managed = || ScopeSettings { policy_arns: vec![READ_ONLY.to_owned()], ..settings() };
    let arns = json!({ "policy_arns": ["arn:aws:iam::aws:policy/AdministratorAccess"] });
    for (own, scope, words) in [
        (settings(), json!({}), "scopes.read-only: needs session_policy or policy_arns"),
        (settings(), json!({ "session_policy": "{}" }), "scopes.read-only: session_policy: "),
        (settings(), json!({ "policy_arns": ["x"] }), "scopes.read-only: policy_arns has \"x\""),
        (own(), statements(&get), "scopes.read-only: session_policy may only deny"),
        (managed(), statements(&get), "scopes.read-only: session_policy may only deny"),
        (own(), arns.clone(), "scopes.read-only: policy_arns would widen it"),
        (managed(), arns, "scopes.read-only: policy_arns would widen it"),
    ] {
        let problems = problems(with_scope(own, &scope));
        assert!(problems.iter().any(|problem| problem.starts_with(words)), "{problems:?} {words}");
    }
    let taken = ScopeSettings { session_policy: Some(statement(&other_sid)), ..settings() };
    problem(
        with_scope(taken, &statements(&other_sid)),
        "the Sid \"b\" is in that of the profile, too",
    );
    let long = json!({ "Effect": "Deny", "Action": "s3:*", "Resource": format!("arn:aws:s3:::{}", "x".repeat(1_000)) });
    let long_own =
        ScopeSettings { session_policy: Some(statement(&json!([allow("*"), long]))), ..settings() };
    problem(with_scope(long_own, &statements(&long)), "scopes.read-only: with it, session_policy");
}

/// THREAT: a session policy permits something because of a tag whose value the caller chooses.
/// PREVENTION: a policy that reads one of these tags does not load, however it is written.
#[test]
fn security_no_session_policy_reads_what_callers_claim() {
    for key in ["aws:PrincipalTag/SentinelScope", "AWS:principaltag/sentinelclaimedTicket"] {
        let mut reading = allow("*");
        reading["Condition"] = json!({ "StringEquals": { key: "x" } });
        problem(
            ScopeSettings { session_policy: Some(statement(&reading)), ..settings() },
            "reads a tag",
        );
        let variable = allow(&format!("arn:aws:s3:::x/${{{key}}}/*"));
        let hidden = statement(&variable).replace('/', "\\/").replace("Sent", "\\u0053ent");
        problem(ScopeSettings { session_policy: Some(hidden), ..settings() }, "reads a tag");
    }
    let mut own = allow("*");
    own["Condition"] = json!({ "StringEquals": { "aws:PrincipalTag/SentinelProfile": "x" } });
    scope(ScopeSettings { session_policy: Some(statement(&own)), ..settings() });
}

#[test]
fn a_scope_that_a_profile_does_not_have_is_refused() {
    let profile = scope(settings());
    assert_eq!(profile.narrow(&alice(), Some(&read_only())), Err(Unscopable::NoSuchScope));
}

#[test]
fn claims_and_the_scope_become_tags_that_sts_takes() {
    let claims = Claims {
        reason: Reason::parse(&format!("Störung: \"db\" <1> {}", "x".repeat(200))),
        ticket: Ticket::parse("org/repo#12"),
        agent: Agent::parse("AWS:codebuild@main"),
    };
    let profile = ProfileName::try_from("p".to_owned()).unwrap();
    let (id, narrow) = (RequestId::new("0a1b2c3d"), read_only());
    let marks = Marks { scope: Some(&narrow), ..marks(&profile, &id, &claims) };
    let session = scope(settings()).narrow(&alice(), None).unwrap().marked(&marks);
    sts_takes(&session);
    let reason = format!("St_rung: _db_ _1_ {}", "x".repeat(46));
    let expected = [
        ("SentinelProfile", "p"),
        ("SentinelRequestId", id.as_str()),
        ("SentinelScope", "read-only"),
        ("SentinelClaimedReason", &reason),
        ("SentinelClaimedTicket", "org/repo_12"),
        ("SentinelClaimedAgent", "AWS_codebuild@main"),
    ];
    assert_eq!(session.tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

/// What a session policy decides in the tests below: a part of IAM's logic, for actions with a star at
/// their end and for one resource.
/// Source: "Policy evaluation logic" in the IAM user guide.
fn allowed(session: &SessionScope, action: &str) -> bool {
    let managed = |arn: &String| match &**arn {
        READ_ONLY => vec![("Allow", "s3:Get*")],
        other => panic!("{other}"),
    };
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => action.starts_with(prefix),
        None => action == pattern,
    };
    let policy = session.policy.as_deref().map(|text| serde_json::from_str::<Value>(text).unwrap());
    let inline = policy.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
    // Each test call comes from the address that the session is bound to.
    let inline = inline.filter(|statement| statement.get("Condition").is_none()).map(|statement| {
        let applies = match (&statement["Action"], &statement["NotAction"]) {
            (Value::String(action), _) => matches(action),
            (_, Value::String(action)) => !matches(action),
            other => panic!("{other:?}"),
        };
        (statement["Effect"].as_str().unwrap().to_owned(), applies)
    });
    let managed = session.policy_arns.iter().flat_map(managed);
    let managed = managed.map(|(effect, action)| (effect.to_owned(), matches(action)));
    let effects: Vec<String> =
        inline.chain(managed).filter(|(_, applies)| *applies).map(|(effect, _)| effect).collect();
    let is_unlimited = session.policy.is_none() && session.policy_arns.is_empty();
    is_unlimited
        || (effects.iter().any(|it| it == "Allow") && !effects.iter().any(|it| it == "Deny"))
}

fn any_policy() -> impl Strategy<Value = Option<String>> {
    let action =
        prop::sample::select(vec!["*", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutObject", "ec2:*"]);
    let one = (
        prop::sample::select(vec!["Allow", "Deny"]),
        prop::sample::select(vec!["Action", "NotAction"]),
        action,
    );
    let one = one.prop_map(
        |(effect, key, action)| json!({ "Effect": effect, key: action, "Resource": "*" }),
    );
    prop::option::of(prop::collection::vec(one, 1..4).prop_map(|all| statement(&Value::from(all))))
}

fn any_arns() -> impl Strategy<Value = Vec<String>> {
    prop::sample::select(vec![Vec::new(), vec![READ_ONLY.to_owned()]])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// THREAT: a scope that would widen: a session may do what one of its session policies allows, so a
    /// further policy can add to the profile's own.
    /// PREVENTION: where the profile has session policies, a scope that does more than deny does not
    /// load. What loads allows nothing that the session without the scope is not allowed.
    #[test]
    fn security_a_scope_never_widens(
        own in any_policy(), own_arns in any_arns(), further in any_policy(), arns in any_arns(), bound in any::<bool>(),
    ) {
        let own = ScopeSettings { session_policy: own, policy_arns: own_arns, bind_source_ip: bound, ..settings() };
        let further = json!({ "session_policy": further, "policy_arns": arns });
        let (profile, problems) = with_scope(own, &further).check(ROLE);
        if !problems.is_empty() {
            return Ok(());
        }
        let without = profile.narrow(&alice(), None).unwrap();
        let with = profile.narrow(&alice(), Some(&read_only())).unwrap();
        sts_takes(&with);
        for action in ["s3:GetObject", "s3:PutObject", "s3:GetBucket", "ec2:Run", "iam:PassRole"] {
            prop_assert!(!allowed(&with, action) || allowed(&without, action), "{action} {with:?} {without:?}");
        }
    }
}

/// A scope takes away, and no more than it says.
#[test]
fn a_scope_takes_away_what_it_says() {
    let deny_put = json!([{ "Effect": "Deny", "Action": "s3:Put*", "Resource": "*" }]);
    let own =
        || ScopeSettings { session_policy: Some(statement(&json!([allow("*")]))), ..settings() };
    let bound = ScopeSettings { bind_source_ip: true, ..settings() };
    for (own, further, put, get, other) in [
        (settings(), statements(&deny_put), false, true, true),
        (bound, statements(&deny_put), false, true, true),
        (own(), statements(&deny_put), false, true, false),
        (settings(), json!({ "policy_arns": [READ_ONLY] }), false, true, false),
        (
            settings(),
            statements(&json!([{ "Effect": "Allow", "Action": "s3:Put*", "Resource": "*" }])),
            true,
            false,
            false,
        ),
    ] {
        let session =
            scope(with_scope(own, &further)).narrow(&alice(), Some(&read_only())).unwrap();
        let found =
            ["s3:PutObject", "s3:GetObject", "ec2:Run"].map(|action| allowed(&session, action));
        assert_eq!(found, [put, get, other], "{session:?}");
    }
}
