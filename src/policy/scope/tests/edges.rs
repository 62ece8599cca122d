//! What STS just accepts, and what it just refuses.

use super::*;

#[test]
fn as_many_tags_and_policies_as_sts_takes_are_accepted_and_no_more() {
    let tags = |count: usize| ScopeSettings {
        tags: (0..count).map(|n| (format!("t{n}"), String::new())).collect(),
        ..settings()
    };
    assert!(problems(tags(42)).is_empty());
    problem(tags(43), "more than 42 tags");
    let arns = |count: usize| ScopeSettings {
        policy_arns: (0..count).map(|n| format!("arn:aws:iam::aws:policy/p{n}")).collect(),
        ..settings()
    };
    assert!(problems(arns(10)).is_empty());
    problem(arns(11), "more than 10");
    let value = |length: usize| ScopeSettings { tags: tag("a", &"x".repeat(length)), ..settings() };
    assert!(problems(value(256)).is_empty());
    problem(value(257), "the value of the tag");
}

#[test]
fn inline_and_managed_policies_share_one_limit() {
    let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let with_name_of = |length: usize| ScopeSettings {
        session_policy: Some(statement(&allow(&format!("arn:aws:s3:::{}", "x".repeat(length))))),
        policy_arns: vec![arn.to_owned()],
        ..settings()
    };
    let filled = scope(with_name_of(1)).narrow(&alice(), None).unwrap().policy.unwrap();
    let longest_name = LONGEST_POLICY - arn.len() - (filled.len() - 1);
    assert!(problems(with_name_of(longest_name)).is_empty());
    problem(with_name_of(longest_name + 1), "2048");
}

#[test]
fn resources_and_condition_keys_need_all_their_parts() {
    let of = |statements: Value| ScopeSettings {
        session_policy: Some(statement(&statements)),
        ..settings()
    };
    for resource in ["arn:aws:s3", "a:b:c:d:e:f", "arn:aws:s3::: :x", "x*"] {
        problem(of(allow(resource)), "a resource is not an ARN or *");
    }
    for resource in ["*", "arn:aws:s3:::x", "arn:aws:dynamodb:*:*:table/a:b"] {
        assert!(problems(of(allow(resource))).is_empty(), "{resource}");
    }
    for key in [":name", "aws:", "aws", "aws:<<caller.name>>"] {
        let mut narrowed = allow("*");
        narrowed["Condition"] = json!({ "StringEquals": { key: "x" } });
        problem(of(narrowed), "a condition key is not PREFIX:NAME");
    }
    problem(of(Value::Null), "one or a list");
}

#[test]
fn every_attribute_of_the_caller_has_a_placeholder() {
    let person = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_01/ann@example.com";
    let person = caller(person, Some("o-1"), None).unwrap();
    for (attribute, value) in [
        ("arn", person.principal().as_str()),
        ("account", "123456789012"),
        ("name", "ann@example.com"),
        ("kind", "assumed-role"),
        ("session_name", "ann@example.com"),
        ("org", "o-1"),
    ] {
        let tags = tag("a", &format!("<<caller.{attribute}>>"));
        let session = scope(ScopeSettings { tags, ..settings() }).narrow(&person, None).unwrap();
        assert_eq!(session.tags, [("a".to_owned(), value.to_owned())]);
    }
}
