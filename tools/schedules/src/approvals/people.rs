//! Who takes part.

use sentinel_tvm::{Caller, IamIdentity, NamedSessionRoles};
use std::sync::OnceLock;

pub(super) const APPROVERS: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Person {
    Alice,
    /// A user of the same name in another account: could be the same person.
    AliceElsewhere,
    Bob,
    Approver(u64),
    /// A role whose session names identify nobody.
    Nobody,
}

const OTHERS: [(Person, &str); 4] = [
    (Person::Alice, "arn:aws:iam::123456789012:user/alice"),
    (Person::AliceElsewhere, "arn:aws:iam::210987654321:user/Alice"),
    (Person::Bob, "arn:aws:iam::123456789012:user/bob"),
    (Person::Nobody, "arn:aws:sts::123456789012:assumed-role/deploy/approver-1"),
];

pub(super) fn caller(person: Person) -> &'static Caller {
    static ALL: OnceLock<Vec<(Person, Caller)>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let approver = |number| {
            (Person::Approver(number), format!("arn:aws:iam::123456789012:user/approver-{number}"))
        };
        let others = OTHERS.map(|(person, arn)| (person, arn.to_owned()));
        let everybody = others.into_iter().chain((0..APPROVERS).map(approver));
        everybody.map(|(person, arn)| (person, verified(&arn))).collect()
    });
    let found = all.iter().find(|(other, _)| *other == person);
    found.map_or_else(|| panic!("{person:?}"), |(_, caller)| caller)
}

fn verified(arn: &str) -> Caller {
    let named = NamedSessionRoles::default();
    let own = named.of_function_in(Some("123456789012"));
    Caller::verified(&IamIdentity::of_arn(arn), None, own).unwrap_or_else(|_| panic!("{arn}"))
}
