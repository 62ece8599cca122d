//! Arbitrary text as `profiles.toml` and, after a line of `---`, as a policy file: the bundle is
//! rejected, or it decides.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_tvm::{
    BundleFiles, BundleOptions, Caller, Decision, Device, NamedSessionRoles, Policy, ProfileName,
    RequestId, SessionDuration, VendRequest,
};
use sentinel_tvm_fuzz::{caller, check_grant, monday_noon, ready};
use std::sync::LazyLock;

static CALLERS: LazyLock<[Caller; 3]> = LazyLock::new(|| {
    [
        "arn:aws:iam::123456789012:user/team*/alice",
        "arn:aws:sts::123456789012:assumed-role/ci-runner/build-4711",
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef/alice@example.com",
    ]
    .map(caller)
});

fuzz_target!(|text: &str| {
    let (profiles, cedar) =
        text.split_once("\n---\n").unwrap_or((text, "permit (principal, action, resource);"));
    let parameters = [("profiles", profiles), ("policies/a", cedar)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let bundle = BundleFiles::from_parameters(parameters).unwrap();
    if let Ok(parameters) = bundle.parameters() {
        assert_eq!(BundleFiles::from_parameters(parameters).as_ref(), Ok(&bundle));
    }
    let options = BundleOptions {
        default_duration: SessionDuration::MIN,
        named_session_roles: NamedSessionRoles::default(),
    };
    let Ok(policy) = Policy::load(&bundle, &options) else {
        return;
    };
    assert_eq!(policy.digest(), bundle.digest());
    let catalogue: toml::Table = profiles.parse().unwrap();
    assert_eq!(policy.profile_count(), catalogue.len());
    let names: Vec<ProfileName> =
        catalogue.keys().map(|name| ProfileName::try_from(name.clone()).unwrap()).collect();
    for caller in &*CALLERS {
        let grantable: Vec<ProfileName> =
            ready(policy.grantable(caller, monday_noon(), async || ()))
                .into_iter()
                .map(|summary| summary.name)
                .collect();
        for name in &names {
            let request = VendRequest::of(name.clone());
            assert_eq!(
                decides(&policy, caller, &request, None),
                grantable.contains(name),
                "{name}"
            );
            decides(&policy, caller, &request, Some(&device(caller)));
        }
    }
    // Only once: if a rule depends on the hour, `explain` evaluates the policies hundreds of times.
    let request = VendRequest::of(names[0].clone());
    let explanation =
        ready(policy.explain(&CALLERS[0], &request, None, monday_noon(), async || ()));
    assert_eq!(explanation.allowed, decides(&policy, &CALLERS[0], &request, None));
    assert!(!explanation.allowed || explanation.missing.is_empty());
});

/// Whether the policy permits the request.
fn decides(
    policy: &Policy,
    caller: &Caller,
    request: &VendRequest,
    device: Option<&Device>,
) -> bool {
    let (decision, _) =
        policy.decide(caller, request, device, &RequestId::new("0a1b2c3d"), monday_noon());
    match decision {
        Decision::Allow(grant) => {
            check_grant(&grant);
            true
        }
        Decision::Deny(denial) => {
            assert!(!denial.public_message().is_empty());
            false
        }
    }
}

fn device(caller: &Caller) -> Device {
    Device {
        managed: true,
        compliant: true,
        owner: Some(caller.name().to_owned()),
        last_seen: Some(monday_noon()),
        os_version: Some("26.1".to_owned()),
        provider: "jamf",
    }
}
