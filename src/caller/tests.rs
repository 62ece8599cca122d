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
