//! Requests, decisions, approvals and emergencies.

use super::stack;
use aws_config::SdkConfig;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sentinel_tvm::{Caller, IamIdentity, NamedSessionRoles};
use shuttle::future::block_on;
use std::collections::BTreeMap;
use time::UtcDateTime;

const TABLE: &str = "grants";
const START: i64 = 1_767_225_600;

/// One step: who, of which request, and after how many hours.
#[derive(Debug, Clone, Copy)]
enum Op {
    Create,
    Change(usize, usize),
    Approval,
    Take,
    Newest,
}

type Step = (Op, usize, i64);

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![
        3 => Just(Op::Create),
        6 => (0_usize..3, 0_usize..9).prop_map(|(change, request)| Op::Change(change, request)),
        2 => Just(Op::Approval),
        2 => Just(Op::Take),
        1 => Just(Op::Newest),
    ];
    (op, 0_usize..3, prop_oneof![6 => Just(0_i64), 1 => Just(8), 1 => Just(24)])
}

#[test]
fn the_table_answers_as_the_emulator_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let property = |steps: Vec<Step>| {
        let expected = runtime.block_on(async {
            let (database, config) = stack::start(TABLE, true).await;
            let answers = of_the_function::run(&config, &steps).await;
            (answers, stack::items(&database, TABLE))
        });
        let here = stack::in_process(TABLE, move |_| {
            let config = SdkConfig::builder()
                .behavior_version(aws_config::BehaviorVersion::latest())
                .build();
            block_on(built_again::run(&config, &steps))
        });
        let _: &(Vec<String>, BTreeMap<_, _>) = &here;
        prop_assert_eq!(here, expected);
        Ok(())
    };
    runner.run(&proptest::collection::vec(step(), 1..40), property).unwrap();
}

fn caller(who: usize) -> Caller {
    let arn = format!("arn:aws:iam::123456789012:user/caller-{who}");
    let named = NamedSessionRoles::default();
    Caller::verified(&IamIdentity::of_arn(&arn), None, named.of_function_in(None)).unwrap()
}

fn at(hours: i64) -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(START + hours * 3_600).unwrap()
}

/// The same steps with the types of both: the function's, and those of the code that is built again.
macro_rules! steps {
    ($name:ident { $($types:item)* }) => {
        mod $name {
            use super::{Op, Step, TABLE, at, caller};
            use aws_config::SdkConfig;
            $($types)*

            fn draft(reason: &str) -> AccessDraft {
                let profile = ProfileName::try_from("production".to_owned()).unwrap();
                let reason = Reason::parse(reason).unwrap();
                AccessDraft { profile, reason, ticket: None, duration: None }
            }

            pub(crate) async fn run(config: &SdkConfig, steps: &[Step]) -> Vec<String> {
                let grants = Grants::new(&GrantsSettings::Dynamodb(TABLE.to_owned()), config);
                let Grants::Table(table) = grants else { panic!("there is a table") };
                let (mut answers, mut ids, mut hours) = (Vec::new(), Vec::new(), 0);
                for (number, (op, who, later)) in steps.iter().enumerate() {
                    hours += later;
                    let (caller, now) = (caller(*who), at(hours));
                    answers.push(match op {
                        Op::Create => {
                            let id = RequestId::new(&format!("{number:08x}"));
                            let draft = draft(&format!("the reason of {number}"));
                            let duration = SessionDuration::MIN;
                            let new = AccessRequest::new(&caller, draft, duration, &id, now);
                            ids.push(new.id);
                            format!("{:?}", table.create(&new, now).await)
                        }
                        Op::Change(change, request) => {
                            let change = [Change::Approve, Change::Deny, Change::Withdraw][*change];
                            let Some(id) = ids.iter().rev().nth(*request) else { continue };
                            match table.find(*id).await {
                                Ok(found) => {
                                    let by = caller.principal();
                                    format!("{:?}", table.change(found, change, by, now).await)
                                }
                                Err(error) => format!("{error:?}"),
                            }
                        }
                        Op::Approval => {
                            let profile = ProfileName::try_from("production".to_owned()).unwrap();
                            format!("{:?}", table.approval(&caller, &profile, now).await)
                        }
                        Op::Take => {
                            let draft = draft(&format!("the emergency number {number}"));
                            let emergency = Emergency::new(&caller, draft, now).unwrap();
                            let taken = table.take(&emergency).await;
                            format!("{taken:?} {:?}", table.emergency(caller.principal()).await)
                        }
                        Op::Newest => {
                            // Requests of one second are in any order.
                            let mut newest = table.newest().await.unwrap();
                            newest.sort_by_key(|request| request.id.to_string());
                            format!("{newest:?}")
                        }
                    });
                }
                answers
            }
        }
    };
}

steps! {
    of_the_function {
        use sentinel_tvm::{
            AccessDraft, AccessRequest, Change, Emergency, Grants, GrantsSettings, ProfileName,
            Reason, RequestId, SessionDuration,
        };
    }
}
steps! {
    built_again {
        use schedules::function::access::{AccessDraft, AccessRequest, Change, Emergency};
        use schedules::function::claims::Reason;
        use schedules::function::grants::{Grants, GrantsSettings};
        use schedules::function::request::{ProfileName, RequestId, SessionDuration};
    }
}
