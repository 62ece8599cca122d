//! Managed session policies, by their ARNs.

use crate::caller::{managed_policy_owner, role_owner};

/// Source: `PolicyArns` of `AssumeRole` in the STS API reference.
const MOST: usize = 10;

/// The problems of the managed session policies of a profile with this role.
pub(super) fn problems(arns: &[String], role_arn: &str) -> Vec<String> {
    let mut problems: Vec<String> = repeated(arns, "policy_arns").collect();
    if arns.len() > MOST {
        problems.push("policy_arns has more than 10 ARNs".to_owned());
    }
    let Some((partition, account)) = role_owner(role_arn) else {
        return problems;
    };
    let fits = |arn: &String| {
        managed_policy_owner(arn)
            .is_some_and(|(own, owner)| own == partition && (owner == "aws" || owner == account))
    };
    let strangers = arns.iter().filter(|arn| !fits(arn));
    problems.extend(strangers.map(|arn| {
        format!(
            "policy_arns has {arn:?}, which is no managed policy of AWS or of the role's account"
        )
    }));
    problems
}

/// A problem for each text that is there already.
pub(super) fn repeated<'a>(texts: &'a [String], key: &'a str) -> impl Iterator<Item = String> + 'a {
    let again = texts.iter().enumerate().filter(|(index, text)| texts[..*index].contains(text));
    again.map(move |(_, text)| format!("{key} has {text:?} twice"))
}
