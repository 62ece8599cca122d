use super::*;
use crate::caller::{Caller, NamedSessionRoles};
use crate::event::IamIdentity;
use crate::policy::bundle::Bundle;
use crate::policy::cedar_request::{Action, RequestContext};
use crate::policy::{BundleFiles, annotations};
use crate::request::SessionDuration;
use proptest::prelude::*;
use time::UtcDateTime;

const ALICE: &str = "arn:aws:iam::123456789012:user/alice";
const BOB: &str = "arn:aws:iam::123456789012:user/bob";
const PROFILES: &str = r#"
    [a]
    role_arn = "arn:aws:iam::123456789012:role/a"
    groups = ["g", "h"]
    [b]
    role_arn = "arn:aws:iam::123456789012:role/b"
    groups = ["h"]
"#;

fn policies() -> impl Strategy<Value = String> {
    let effect = prop::sample::select(vec!["permit", "forbid"]);
    let caller = |arn| format!("principal == Sentinel::Caller::{arn:?}");
    let principals = vec![
        "principal".to_owned(),
        "principal is Sentinel::Caller".to_owned(),
        caller(ALICE),
        caller(BOB),
        format!("principal in Sentinel::Caller::{ALICE:?}"),
        format!("principal is Sentinel::Caller in Sentinel::Caller::{BOB:?}"),
    ];
    let resources = vec![
        "resource",
        "resource is Sentinel::Profile",
        "resource == Sentinel::Profile::\"a\"",
        "resource in Sentinel::Profile::\"b\"",
        "resource in Sentinel::ProfileGroup::\"g\"",
        "resource is Sentinel::Profile in Sentinel::ProfileGroup::\"h\"",
    ];
    // The last fails to evaluate where AWS told no address.
    let conditions =
        vec!["", "when { principal.name == \"alice\" }", "when { context.source_ip.isIpv4() }"];
    let (principals, resources) =
        (prop::sample::select(principals), prop::sample::select(resources));
    (effect, principals, resources, prop::sample::select(conditions)).prop_map(
        |(effect, principal, resource, condition)| {
            format!("{effect} ({principal}, action, {resource}) {condition};")
        },
    )
}

fn caller(arn: &str) -> Caller {
    let named = NamedSessionRoles::default();
    Caller::verified(&IamIdentity::of_arn(arn), None, named.of_function_in(None)).unwrap()
}

proptest! {
    #[test]
    fn the_result_is_that_of_all_policies_together(policies in prop::collection::vec(policies(), 1..8)) {
        let parameters = [("profiles", PROFILES.to_owned()), ("policies/x", policies.join("\n"))];
        let text = BundleFiles::from_parameters(parameters.map(|(name, text)| (name.to_owned(), text))).unwrap();
        let bundle = Bundle::parse(&text, &NamedSessionRoles::default()).unwrap();
        let all = annotations::enforced(&bundle.rules.all);
        for profile in bundle.catalogue.values() {
            for arn in [ALICE, BOB] {
                let context = RequestContext::of(Action::Vend(None), SessionDuration::MIN, UtcDateTime::UNIX_EPOCH);
                let request = CedarRequest::new(&caller(arn), profile, context).unwrap();
                let evaluation = bundle.rules.evaluate(&request);
                let whole = Authorizer::new().is_authorized(request.request(), &all, request.entities());
                let failed: Vec<&PolicyId> = whole.diagnostics().errors()
                    .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id()).collect();
                let mut deciding: Vec<PolicyId> = if failed.is_empty() {
                    whole.diagnostics().reason().cloned().collect()
                } else {
                    failed.into_iter().cloned().collect()
                };
                deciding.sort();
                prop_assert_eq!(&evaluation.deciding, &deciding);
                let allowed = whole.decision() == cedar_policy::Decision::Allow && whole.diagnostics().errors().next().is_none();
                prop_assert_eq!(evaluation.refusal.is_none(), allowed);
            }
        }
    }
}
