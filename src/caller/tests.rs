use super::*;
use proptest::prelude::*;

fn caller(arn: &str) -> Result<Caller, Unauthenticated> {
    let named = NamedSessionRoles::default();
    Caller::verified(&IamIdentity::of_arn(arn), None, named.of_function_in(Some("123456789012")))
}

#[test]
fn the_principal_is_the_arn_less_what_the_caller_may_choose() {
    for (arn, kind, principal, name) in [
        (
            "arn:aws:iam::123456789012:user/alice",
            "user",
            "arn:aws:iam::123456789012:user/alice",
            "alice",
        ),
        (
            "arn:aws:iam::123456789012:user/a:b/c/alice",
            "user",
            "arn:aws:iam::123456789012:user/a:b/c/alice",
            "alice",
        ),
        ("arn:aws-cn:iam::123456789012:root", "root", "arn:aws-cn:iam::123456789012:root", "root"),
        (
            "arn:aws-us-gov:sts::123456789012:assumed-role/ci/build-42",
            "assumed-role",
            "arn:aws-us-gov:sts::123456789012:assumed-role/ci",
            "ci",
        ),
        (
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_01/a@example.com",
            "assumed-role",
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_01/a@example.com",
            "a@example.com",
        ),
        (
            "arn:aws:sts::123456789012:federated-user/anything",
            "federated-user",
            "arn:aws:sts::123456789012:federated-user",
            "federated-user",
        ),
    ] {
        let caller = caller(arn).unwrap();
        assert_eq!(
            (caller.kind().name(), caller.principal().as_str(), caller.name()),
            (kind, principal, name)
        );
        assert_eq!(caller.account(), "123456789012");
    }
}

#[test]
fn arns_that_are_almost_right_are_refused() {
    let long_name = format!("arn:aws:iam::123456789012:user/{}", "x".repeat(65));
    for arn in [
        "arn:aws:iam::123456789012:user/",
        "arn:aws:iam::123456789012:user//alice",
        "arn:aws:iam::123456789012:user/a//alice",
        "arn:aws:iam::123456789012:user/alice ",
        "arn:aws:iam::123456789012:user/al\u{ed}ce",
        "arn:aws:iam::123456789012:user/alice\n",
        "arn:aws:iam::123456789012:user",
        "arn:aws:iam::12345678901:user/alice",
        "arn:aws:iam::1234567890123:user/alice",
        "arn:aws:iam::12345678901a:user/alice",
        "arn:aws:iam::\u{661}23456789012:user/alice",
        "arn:aws:iam:us-east-1:123456789012:user/alice",
        "arn:aws-moon:iam::123456789012:user/alice",
        "arn:AWS:iam::123456789012:user/alice",
        "ARN:aws:iam::123456789012:user/alice",
        "arn:aws:sts::123456789012:user/alice",
        "arn:aws:iam::123456789012:role/ci",
        "arn:aws:iam::123456789012:group/devs",
        "arn:aws:iam::123456789012:assumed-role/ci/x1",
        "arn:aws:sts::123456789012:assumed-role/ci",
        "arn:aws:sts::123456789012:assumed-role/ci/",
        "arn:aws:sts::123456789012:assumed-role/ci/s",
        "arn:aws:sts::123456789012:assumed-role//session",
        "arn:aws:sts::123456789012:assumed-role/path/ci/session",
        "arn:aws:sts::123456789012:federated-user/",
        "arn:aws:sts::123456789012:root",
        "arn:aws:iam::123456789012:root/x",
        "arn:aws:s3:::bucket",
        " arn:aws:iam::123456789012:user/alice",
        "alice",
        "anonymous",
        "*",
        &long_name,
    ] {
        assert_eq!(caller(arn).err(), Some(Unauthenticated::UnknownArn), "{arn:?}");
    }
}

#[test]
fn a_name_that_fits_is_kept_and_a_longer_one_ends_in_a_digest() {
    let fits = "x".repeat(55);
    let user = |name: &str| caller(&format!("arn:aws:iam::123456789012:user/{name}")).unwrap();
    assert_eq!(user(&fits).source_identity(), format!("sentinel-{fits}"));
    assert_eq!(user("alice").session_name_for("0a1b2c3d"), "alice-0a1b2c3d");
    let long = user(&"x".repeat(56)).source_identity();
    assert_eq!(long.len(), 64);
    assert!(long.starts_with(&format!("sentinel-{}=", "x".repeat(38))), "{long}");
}

#[test]
fn a_user_cannot_be_named_like_somebody_elses_digest() {
    let victim = caller(&format!("arn:aws:iam::123456789012:user/{}", "x".repeat(60))).unwrap();
    let derived = victim.source_identity();
    let impostor_name = derived.strip_prefix("sentinel-").unwrap();
    let impostor = caller(&format!("arn:aws:iam::123456789012:user/{impostor_name}")).unwrap();
    assert_ne!(impostor.source_identity(), derived);
}

proptest! {
    #[test]
    fn derived_names_always_fit_sts(name in "[A-Za-z0-9_+=,.@-]{1,64}") {
        let caller = caller(&format!("arn:aws:iam::123456789012:user/{name}")).unwrap();
        for derived in [caller.source_identity(), caller.session_name_for("01234567")] {
            prop_assert!((2..=64).contains(&derived.len()), "{derived}");
            prop_assert!(derived.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)));
        }
    }

    #[test]
    fn two_names_in_one_account_never_share_a_source_identity(
        one in "[a-f0-9=]{50,64}", other in "[a-f0-9=]{50,64}",
    ) {
        prop_assume!(one != other);
        let identity = |name| caller(&format!("arn:aws:iam::123456789012:user/{name}")).unwrap().source_identity();
        prop_assert_ne!(identity(one), identity(other));
    }

    #[test]
    fn no_arn_panics(arn in ".*") {
        let _ = caller(&arn);
    }
}

#[test]
fn the_arn_is_kept_whole_for_the_audit_line() {
    let arn = "arn:aws:sts::123456789012:assumed-role/ci/build-42";
    assert_eq!(caller(arn).unwrap().arn(), arn);
}

#[test]
fn a_name_that_only_resembles_a_digest_is_kept() {
    for name in ["team=abc", "team=0123456789abcdeg", "team=0123456789ABCDEF", "0123456789abcdef"] {
        let caller = caller(&format!("arn:aws:iam::123456789012:user/{name}")).unwrap();
        assert_eq!(caller.source_identity(), format!("sentinel-{name}"));
    }
}

#[test]
fn arns_of_resources_have_an_owner_only_if_every_part_is_right() {
    let role = "arn:aws-cn:iam::123456789012:role/path/ci";
    assert_eq!(role_owner(role), Some(("aws-cn", "123456789012")));
    for policy in ["arn:aws:iam::aws:policy/ReadOnly", "arn:aws:iam::123456789012:policy/own"] {
        assert!(managed_policy_owner(policy).is_some(), "{policy}");
    }
    let function = "arn:aws:lambda:eu-central-1:123456789012:function:sentinel-tvm:live";
    assert_eq!(function_owner(function), Some("123456789012"));
    for (part, wrong) in [
        ("arn:", "ARN:"),
        ("arn:", ":"),
        ("aws-cn", "aws-moon"),
        (":iam:", ":sts:"),
        (":iam::", ":iam:eu-central-1:"),
        ("123456789012", "12345678901"),
        ("123456789012", "aws"),
        ("role/", "user/"),
        ("/ci", "/"),
    ] {
        assert_eq!(role_owner(&role.replacen(part, wrong, 1)), None, "{wrong} for {part}");
    }
    for wrong in
        ["arn:aws:iam::alias:policy/x", "arn:aws:iam::aws:role/x", "arn:aws:s3::aws:policy/x"]
    {
        assert_eq!(managed_policy_owner(wrong), None, "{wrong}");
    }
    for (part, wrong) in [
        ("arn:", "ARN:"),
        ("arn:aws:", "arn:aws-moon:"),
        (":lambda:", ":sns:"),
        ("123456789012", "12345678901"),
    ] {
        assert_eq!(function_owner(&function.replacen(part, wrong, 1)), None, "{wrong} for {part}");
    }
}

#[test]
fn a_session_of_a_named_role_is_a_principal_only_in_that_roles_account() {
    let named = NamedSessionRoles::parse("210987654321:Okta-*").unwrap();
    for (arn, expected) in [
        ("arn:aws:sts::210987654321:assumed-role/Okta-Dev/ann", true),
        ("arn:aws:sts::123456789012:assumed-role/Okta-Dev/ann", false),
        ("arn:aws:sts::210987654321:assumed-role/Okta-Dev", false),
        ("arn:aws:sts::123456789012:assumed-role/Okta-Dev", true),
        ("arn:aws:sts::210987654321:assumed-role/ci", true),
    ] {
        assert_eq!(is_principal(arn, &named), expected, "{arn}");
    }
}
