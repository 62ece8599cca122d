//! Templates of session policies and tags, filled for arbitrary callers. A grant is what the
//! template says, and STS accepts it. STS would reject what is refused.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use sentinel_tvm::{
    BundleFiles, BundleOptions, Caller, Decision, NamedSessionRoles, Policy, ProfileName, Refusal,
    RequestId, SessionDuration, SessionScope, Unscopable, VendRequest,
};
use sentinel_tvm_fuzz::{are_session_policies, check_grant, is_tag_value, monday_noon, verified};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

const ROLE: &str = "arn:aws:iam::123456789012:role/vended";
const PERMIT_ALL: &str = "permit (principal, action, resource);";
/// The characters that STS accepts in tags.
const TAG: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _.:/=+-@";
/// The characters that IAM accepts in names.
const NAME: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-";
/// Characters that IAM accepts in paths. Most of them have a meaning in JSON, TOML, Cedar or IAM.
const PATH: &[u8] = b"*?$\"'\\{}[]<>:,;%#~ab01";

/// Several callers ask for one profile, because loading takes far longer than deciding.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    caller: Asker<'a>,
    profile: Profile<'a>,
    others: Vec<Asker<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Asker<'a> {
    who: Who<'a>,
    #[arbitrary(with = mostly)]
    org: Option<Bytes<'a>>,
    #[arbitrary(with = mostly)]
    ip: Option<IpAddr>,
}

#[derive(Arbitrary, Debug)]
enum Who<'a> {
    User { path: Vec<Bytes<'a>>, name: Bytes<'a> },
    Role { role: Bytes<'a>, session: Bytes<'a> },
    Person { name: Bytes<'a> },
    FederatedUser { name: Bytes<'a> },
    Root,
}

#[derive(Arbitrary, Debug)]
struct Profile<'a> {
    #[arbitrary(with = mostly)]
    session_policy: Option<Document<'a>>,
    managed: Vec<Bytes<'a>>,
    bound: bool,
    tags: Vec<Tag<'a>>,
    own_tag_is_transitive: bool,
}

#[derive(Arbitrary, Debug)]
struct Tag<'a> {
    key: Bytes<'a>,
    value: Template<'a>,
    transitive: bool,
}

#[derive(Arbitrary, Debug)]
struct Document<'a> {
    id: Option<Bytes<'a>>,
    statement: OneOrMany<Statement<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Statement<'a> {
    sid: Option<u8>,
    allow: bool,
    not_action: bool,
    action: OneOrMany<Action>,
    not_resource: bool,
    resource: OneOrMany<Resource<'a>>,
    condition: Vec<Condition<'a>>,
}

#[derive(Arbitrary, Debug)]
enum OneOrMany<T> {
    One(T),
    Many(T, Vec<T>),
}

#[derive(Arbitrary, Debug)]
enum Action {
    All,
    Read,
}

#[derive(Arbitrary, Debug)]
enum Resource<'a> {
    Bucket(Template<'a>),
    All,
    Anywhere(Template<'a>),
}

#[derive(Arbitrary, Debug)]
struct Condition<'a> {
    operator: Operator,
    key: Bytes<'a>,
    value: OneOrMany<Scalar<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Operator {
    StringLike,
    ArnLikeIfExists,
    ForAnyValue,
}

#[derive(Arbitrary, Debug)]
enum Scalar<'a> {
    Text(Template<'a>),
    Number(i64),
    Bool(bool),
}

#[derive(Arbitrary, Debug)]
struct Template<'a>(Vec<Part<'a>>);

#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Attribute(Attribute),
    TagText(Bytes<'a>),
    Anything(Bytes<'a>),
}

/// One byte for each character. Short, so that one text does not use up the input of the others.
struct Bytes<'a>(&'a [u8]);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "b\"{}\"", self.0.escape_ascii())
    }
}

impl<'a> Arbitrary<'a> for Bytes<'a> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let length = bytes.int_in_range(0..=80)?.min(bytes.len());
        bytes.bytes(length).map(Self)
    }
}

impl Bytes<'_> {
    fn of(&self, alphabet: &[u8]) -> String {
        self.0
            .iter()
            .map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()]))
            .collect()
    }

    /// A name of 2 to 64 characters.
    fn name(&self) -> String {
        format!("{:x<2.64}", self.of(NAME))
    }

    /// Latin-1, which policies accept, except for one character.
    fn text(&self) -> String {
        self.0
            .iter()
            .map(|byte| if *byte == 0xfe { '\u{20ac}' } else { char::from(*byte) })
            .collect()
    }
}

#[derive(Arbitrary, Debug)]
enum Attribute {
    Name,
    Arn,
    Account,
    Kind,
    SessionName,
    Org,
}

fn mostly<'a, T: Arbitrary<'a>>(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Option<T>> {
    if bytes.ratio(1, 8)? { Ok(None) } else { bytes.arbitrary().map(Some) }
}

fuzz_target!(|input: Input<'_>| {
    let profiles = toml::to_string(&json!({ "p": input.profile.entry() })).unwrap();
    let parameters = [("profiles", &*profiles), ("policies/a", PERMIT_ALL)];
    let bundle = BundleFiles::from_parameters(
        parameters.map(|(name, text)| (name.to_owned(), text.to_owned())),
    )
    .unwrap();
    let options = BundleOptions {
        default_duration: SessionDuration::MIN,
        named_session_roles: NamedSessionRoles::default(),
    };
    let Ok(policy) = Policy::load(&bundle, &options) else {
        return;
    };
    for caller in std::iter::once(&input.caller).chain(&input.others).map(Asker::caller) {
        decide(&policy, &input.profile, &caller);
    }
});

fn decide(policy: &Policy, profile: &Profile<'_>, caller: &Caller) {
    let request = VendRequest::of(ProfileName::try_from("p".to_owned()).unwrap());
    let expected = Expected::new(profile, caller);
    let (decision, _) =
        policy.decide(caller, &request, None, &RequestId::new("0a1b2c3d"), monday_noon());
    match decision {
        Decision::Allow(grant) => {
            check_grant(&grant);
            expected.check(grant.scope());
        }
        Decision::Deny(denial) => match denial.refusal() {
            Refusal::Unscopable(Unscopable::Missing(_)) => assert!(expected.missing),
            Refusal::Unscopable(Unscopable::Tag) => {
                assert!(!expected.tags.values().all(|value| is_tag_value(value)))
            }
            Refusal::Unscopable(Unscopable::Policy) => assert!(!expected.policies_fit()),
            Refusal::Unscopable(Unscopable::Address) => {
                assert!(profile.bound && caller.source_ip().is_none())
            }
            other => panic!("{other:?}"),
        },
    }
}

/// The expected scope, computed in another way: from the template's text instead of its parts.
struct Expected {
    missing: bool,
    policy: Option<Value>,
    policy_arns: Vec<String>,
    tags: BTreeMap<String, String>,
    transitive_tags: Vec<String>,
}

impl Expected {
    fn new(profile: &Profile<'_>, caller: &Caller) -> Self {
        let missing = Cell::new(false);
        let fill = |text: &str, escape: fn(&str) -> String| {
            let filled = filled(text, caller, escape);
            missing.set(missing.get() || filled.is_none());
            filled.unwrap_or_default()
        };
        let in_policy = |scalar: Value| match scalar {
            Value::String(text) => fill(&text, escaped).into(),
            other => other.to_string().into(),
        };
        let document = profile.session_policy.as_ref().map(|document| document.json(&in_policy));
        let tags = profile
            .tags()
            .into_iter()
            .map(|(key, value)| (key, fill(&value, str::to_owned)))
            .collect();
        Self {
            policy: match caller.source_ip().filter(|_| profile.bound) {
                Some(ip) => Some(bound(document, ip, !profile.managed.is_empty())),
                None => document,
            },
            policy_arns: profile.policy_arns(),
            tags,
            transitive_tags: profile.transitive_tags(),
            missing: missing.get(),
        }
    }

    fn check(&self, scope: &SessionScope) {
        assert!(!self.missing);
        let policy =
            scope.policy.as_deref().map(|policy| serde_json::from_str::<Value>(policy).unwrap());
        assert_eq!(policy, self.policy);
        assert_eq!(scope.policy_arns, self.policy_arns);
        assert_eq!(scope.transitive_tags, self.transitive_tags);
        let own = [("SentinelProfile", "p"), ("SentinelRequestId", "0a1b2c3d")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let tags: Vec<(String, String)> = own.into_iter().chain(self.tags.clone()).collect();
        assert_eq!(scope.tags, tags);
    }

    fn policies_fit(&self) -> bool {
        are_session_policies(
            self.policy.as_ref().map(Value::to_string).as_deref(),
            &self.policy_arns,
        )
    }
}

/// The text with every placeholder replaced; `None` if the caller lacks an attribute. The text has
/// loaded, so its brackets match.
fn filled(text: &str, caller: &Caller, escape: fn(&str) -> String) -> Option<String> {
    let Some((before, rest)) = text.split_once("<<") else {
        return Some(text.to_owned());
    };
    let (name, after) = rest.split_once(">>").unwrap();
    let value = match name.trim() {
        "caller.arn" => caller.principal().as_str(),
        "caller.account" => caller.account(),
        "caller.name" => caller.name(),
        "caller.kind" => caller.kind().name(),
        "caller.session_name" => caller.session_name()?,
        "caller.org" => caller.org()?,
        other => panic!("{other:?}"),
    };
    Some(format!("{before}{}{}", escape(value), filled(after, caller, escape)?))
}

/// Escapes IAM's wildcards and the sign of its variables, so that IAM reads them as plain text.
fn escaped(text: &str) -> String {
    text.split('$')
        .map(|piece| piece.replace('*', "${*}").replace('?', "${?}"))
        .collect::<Vec<_>>()
        .join("${$}")
}

/// The policy bound to an address. It needs an `Allow`, unless managed policies provide one.
fn bound(document: Option<Value>, ip: IpAddr, beside_managed: bool) -> Value {
    let prefix = if ip.is_ipv4() { 32 } else { 128 };
    let deny = json!({
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {
            "NotIpAddress": { "aws:SourceIp": format!("{ip}/{prefix}") },
            "Bool": { "aws:ViaAWSService": "false" },
        },
    });
    let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    let mut document = document.unwrap_or_else(
        || json!({ "Version": "2012-10-17", "Statement": if beside_managed { vec![] } else { vec![everything] } }),
    );
    let statements = match document["Statement"].take() {
        Value::Array(statements) => statements.into_iter().chain([deny]).collect(),
        one => vec![one, deny],
    };
    document["Statement"] = statements.into();
    document
}

impl Asker<'_> {
    fn caller(&self) -> Caller {
        let (org, ip) = (self.org.as_ref().map(Bytes::text), self.ip.map(|ip| ip.to_canonical()));
        verified(&self.who.arn(), org.as_deref(), ip).unwrap()
    }
}

impl Who<'_> {
    fn arn(&self) -> String {
        match self {
            Self::User { path, name } => {
                let segments =
                    path.iter().take(6).map(|segment| format!("{:*<1}", segment.of(PATH)));
                let path: Vec<String> = segments.chain([name.name()]).collect();
                format!("arn:aws:iam::123456789012:user/{}", path.join("/"))
            }
            Self::Role { role, session } => {
                format!("arn:aws:sts::123456789012:assumed-role/{}/{}", role.name(), session.name())
            }
            Self::Person { name } => {
                format!("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_x/{}", name.name())
            }
            Self::FederatedUser { name } => {
                format!("arn:aws:sts::123456789012:federated-user/{:.32}", name.name())
            }
            Self::Root => "arn:aws:iam::123456789012:root".to_owned(),
        }
    }
}

impl Profile<'_> {
    /// The profile as an entry of `profiles.toml`.
    fn entry(&self) -> Value {
        let mut entry = json!({
            "role_arn": ROLE,
            "tags": self.tags(),
            "transitive_tags": self.transitive_tags(),
            "policy_arns": self.policy_arns(),
            "bind_source_ip": self.bound,
        });
        if let Some(document) = &self.session_policy {
            entry["session_policy"] = document.json(&|scalar| scalar).to_string().into();
        }
        entry
    }

    fn tags(&self) -> BTreeMap<String, String> {
        self.keyed_tags().map(|(key, tag)| (key, tag.value.text())).collect()
    }

    fn transitive_tags(&self) -> Vec<String> {
        let own = self.own_tag_is_transitive.then(|| "SentinelProfile".to_owned());
        own.into_iter()
            .chain(self.keyed_tags().filter(|(_, tag)| tag.transitive).map(|(key, _)| key))
            .collect()
    }

    /// Keys begin with a number, like those of conditions, so that no two are equal.
    fn keyed_tags(&self) -> impl Iterator<Item = (String, &Tag<'_>)> {
        self.tags
            .iter()
            .enumerate()
            .map(|(index, tag)| (format!("{index}{:.120}", tag.key.of(TAG)), tag))
    }

    fn policy_arns(&self) -> Vec<String> {
        let arn = |(index, name): (usize, &Bytes<'_>)| {
            format!("arn:aws:iam::aws:policy/{index}{}", name.name())
        };
        self.managed.iter().enumerate().map(arn).collect()
    }
}

impl Document<'_> {
    /// The document as JSON. `change` replaces each value of a resource or condition.
    fn json(&self, change: &dyn Fn(Value) -> Value) -> Value {
        let mut document = json!({ "Version": "2012-10-17", "Statement": self.statement.json(|statement| statement.json(change)) });
        if let Some(id) = &self.id {
            document["Id"] = id.text().into();
        }
        document
    }
}

impl Statement<'_> {
    fn json(&self, change: &dyn Fn(Value) -> Value) -> Value {
        let mut statement = json!({ "Effect": if self.allow { "Allow" } else { "Deny" } });
        statement[if self.not_action { "NotAction" } else { "Action" }] =
            self.action.json(|action| action.text().into());
        statement[if self.not_resource { "NotResource" } else { "Resource" }] =
            self.resource.json(|resource| change(resource.text().into()));
        if let Some(sid) = self.sid {
            statement["Sid"] = format!("S{sid}").into();
        }
        let mut operators: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for (index, condition) in self.condition.iter().enumerate() {
            let keys = operators.entry(condition.operator.text()).or_default();
            keys.insert(
                format!("aws:{index}{}", condition.key.text()),
                condition.value.json(|scalar| change(scalar.json())),
            );
        }
        if !operators.is_empty() {
            statement["Condition"] = json!(operators);
        }
        statement
    }
}

impl<T> OneOrMany<T> {
    fn json(&self, each: impl Fn(&T) -> Value) -> Value {
        match self {
            Self::One(one) => each(one),
            Self::Many(first, others) => std::iter::once(first).chain(others).map(each).collect(),
        }
    }
}

impl Action {
    fn text(&self) -> &'static str {
        match self {
            Self::All => "*",
            Self::Read => "s3:Get*",
        }
    }
}

impl Resource<'_> {
    fn text(&self) -> String {
        match self {
            Self::Bucket(template) => format!("arn:aws:s3:::{}", template.text()),
            Self::All => "*".to_owned(),
            Self::Anywhere(template) => format!("arn:aws:*:*:*:{}", template.text()),
        }
    }
}

impl Operator {
    fn text(&self) -> &'static str {
        match self {
            Self::StringLike => "StringLike",
            Self::ArnLikeIfExists => "ArnLikeIfExists",
            Self::ForAnyValue => "ForAnyValue:StringEquals",
        }
    }
}

impl Scalar<'_> {
    fn json(&self) -> Value {
        match self {
            Self::Text(template) => template.text().into(),
            Self::Number(number) => (*number).into(),
            Self::Bool(bool) => (*bool).into(),
        }
    }
}

impl Template<'_> {
    fn text(&self) -> String {
        self.0.iter().map(Part::text).collect()
    }
}

impl Part<'_> {
    fn text(&self) -> String {
        match self {
            Self::Attribute(attribute) => format!("<<{}>>", attribute.name()),
            Self::TagText(bytes) => bytes.of(TAG),
            Self::Anything(text) => text.text(),
        }
    }
}

impl Attribute {
    fn name(&self) -> &'static str {
        match self {
            Self::Name => "caller.name",
            Self::Arn => "caller.arn",
            Self::Account => "caller.account",
            Self::Kind => " caller.kind ",
            Self::SessionName => "caller.session_name",
            Self::Org => "caller.org",
        }
    }
}
