//! Every check passes for a good run, and fails for a run with one thing wrong.

use super::*;
use crate::exchanges::Reply;
use crate::load::{BLOCKED, Kind};
use serde_json::json;

const BEGIN: Micros = 1_700_000_000_000_000;
const PRINCIPAL: &str = "arn:aws:iam::123456789012:user/alice";
const KEY: &str = "RL#vend#arn:aws:iam::123456789012:user/alice";

/// A minute with one request a second for credentials, health at its end, and a block.
fn good() -> Evidence {
    let plan = Plan { seed: 1, begin: BEGIN, end: BEGIN + 60 * SECOND };
    let mut evidence = Evidence {
        plan,
        exchanges: BTreeMap::new(),
        lines: Vec::new(),
        problems: Vec::new(),
        messages: BTreeMap::new(),
        log_bytes: 0,
        incidents: Vec::new(),
        policies: vec![(0, Version::Open)],
        sessions: HashMap::new(),
        writes: BTreeMap::from([(KEY.to_owned(), 57)]),
        tats: BTreeMap::from([(KEY.to_owned(), Tats { short: Micros::MAX, day: Micros::MAX })]),
        injected: Injected::new(),
        calls: BTreeMap::new(),
        usage: Vec::new(),
        held_back: 0,
        survivors: [1, 2],
    };
    for second in 0..57 {
        evidence.add(Kind::Vend, second);
    }
    let (from, to) = (BEGIN + 57 * SECOND, BEGIN + 58 * SECOND);
    evidence.incidents.push(incident("block", None, from, to));
    let blocked = evidence.add(Kind::Blocked, 57);
    evidence.line(blocked).principal = arn(BLOCKED);
    evidence.say(blocked, 403, "CALLER_BLOCKED");
    for instance in [1, 2] {
        let number = evidence.add(Kind::Health, 58);
        evidence.line(number).instance = instance;
        evidence.line(number).tier = "health".to_owned();
        evidence.line(number).decided_by = "memory".to_owned();
        let health = json!({
            "rate_limit": { "breaker": "closed" },
            "storage": { "healthy": true },
            "policy": { "stale": false },
        });
        let exchange = evidence.exchanges.get_mut(&number).unwrap();
        exchange.handed_out = Some((instance, BEGIN + 58 * SECOND));
        exchange.reply.as_mut().unwrap().health = Some(health);
    }
    for second in 0..60 {
        let at = BEGIN + second * SECOND;
        evidence.usage.push(Reading { instance: 1, at, kib: 40_000, descriptors: 40, threads: 4 });
    }
    evidence
}

fn incident(what: &'static str, service: Option<Service>, from: Micros, to: Micros) -> Incident {
    Incident { what, service, instance: None, from, to }
}

impl Evidence {
    /// A request that instance 1 answered, with its line.
    fn add(&mut self, kind: Kind, second: u64) -> u64 {
        let number = u64::try_from(self.exchanges.len()).unwrap();
        let at = BEGIN + second * SECOND;
        let (code, session) = ("OK".to_owned(), format!("alice-{number:08x}"));
        let reply = Reply {
            at: at + SECOND / 10,
            status: 200,
            code: code.clone(),
            access_key_id: Some(session.clone()).filter(|_| kind == Kind::Vend),
            health: None,
        };
        let exchange = Exchange { kind, handed_out: Some((1, at)), reply: Some(reply.clone()) };
        self.exchanges.insert(number, exchange);
        self.lines.push(Line {
            number,
            instance: 1,
            at,
            code,
            status: 200,
            principal: PRINCIPAL.to_owned(),
            tier: "vend".to_owned(),
            decided_by: "dynamodb".to_owned(),
            is_admitted: kind != Kind::Blocked,
            access_key_id: reply.access_key_id,
            session: (kind == Kind::Vend).then(|| (session.clone(), "role".to_owned())),
            ..Line::default()
        });
        if kind == Kind::Vend {
            self.sessions.insert(session, "role".to_owned());
        }
        number
    }

    fn line(&mut self, number: u64) -> &mut Line {
        self.lines.iter_mut().find(|line| line.number == number).unwrap()
    }

    /// Changes what the reply and the line of a request say.
    fn say(&mut self, number: u64, status: u64, code: &str) {
        let reply = self.exchanges.get_mut(&number).unwrap().reply.as_mut().unwrap();
        (reply.status, reply.code) = (status, code.to_owned());
        let line = self.line(number);
        (line.status, line.code) = (status, code.to_owned());
    }
}

/// The names of the checks that fail.
fn failed(evidence: &Evidence) -> Vec<&'static str> {
    all(evidence).iter().filter(|check| !check.passed).map(|check| check.name).collect()
}

/// Which checks fail after one change.
fn failed_with(change: impl FnOnce(&mut Evidence)) -> String {
    let mut evidence = good();
    change(&mut evidence);
    failed(&evidence).join(", ")
}

#[test]
fn a_good_run_passes() {
    assert_eq!(failed(&good()), [""; 0], "{:#?}", all(&good()));
}

#[test]
fn more_than_the_quota_fails() {
    let burst = |evidence: &mut Evidence| {
        for line in evidence.lines.iter_mut().take(30) {
            line.at = BEGIN;
        }
    };
    assert!(failed_with(burst).contains("the table admits nobody over a quota"));
    let alone = |evidence: &mut Evidence| {
        burst(evidence);
        for line in &mut evidence.lines {
            line.decided_by = "memory".to_owned();
        }
    };
    assert!(failed_with(alone).contains("no instance admits more than its quota"));
}

#[test]
fn a_table_that_has_lost_a_request_fails() {
    const NAME: &str = "the table holds every request that it admitted";
    assert_eq!(failed_with(|evidence| *evidence.writes.get_mut(KEY).unwrap() = 56), NAME);
    let behind = |evidence: &mut Evidence| {
        evidence.tats.get_mut(KEY).unwrap().short = evidence.lines[56].at;
    };
    assert_eq!(failed_with(behind), NAME);
}

#[test]
fn a_line_too_many_or_too_few_or_of_another_request_fails() {
    const NAME: &str = "one audit line per request";
    assert!(failed_with(|evidence| drop(evidence.lines.remove(3))).contains(NAME));
    assert!(failed_with(|evidence| evidence.lines.push(evidence.lines[3].clone())).contains(NAME));
    assert!(failed_with(|evidence| evidence.lines[3].instance = 2).contains(NAME));
    assert!(
        failed_with(|evidence| evidence.lines[3].code = "POLICY_DENY".to_owned()).contains(NAME)
    );
}

#[test]
fn a_request_without_a_reply_is_conceded_to_a_killed_instance_only() {
    const NAME: &str = "one audit line per request";
    let lose = |evidence: &mut Evidence| {
        evidence.lines.remove(3);
        evidence.exchanges.get_mut(&3).unwrap().reply = None;
    };
    assert!(failed_with(lose).contains(NAME));
    let killed = |evidence: &mut Evidence| {
        lose(evidence);
        let mut kill = incident("instance killed", None, BEGIN, BEGIN);
        kill.instance = Some(1);
        evidence.incidents.push(kill);
    };
    assert_eq!(failed_with(killed), "");
}

#[test]
fn credentials_of_another_or_without_a_grant_fail() {
    const NAME: &str = "each caller gets the credentials that its line records";
    let other =
        |evidence: &mut Evidence| evidence.lines[3].access_key_id = Some("other".to_owned());
    assert_eq!(failed_with(other), NAME);
    let extra = |evidence: &mut Evidence| {
        evidence.sessions.insert("bob-000000ff".to_owned(), "role".to_owned());
    };
    assert_eq!(failed_with(extra), NAME);
}

#[test]
fn a_5xx_passes_during_its_fault_only() {
    let failure = |evidence: &mut Evidence| {
        evidence.say(3, 503, "SERVICE_UNAVAILABLE");
        let line = evidence.line(3);
        line.detail = "STS is out of reach: no connection".to_owned();
        line.access_key_id = None;
        evidence.exchanges.get_mut(&3).unwrap().reply.as_mut().unwrap().access_key_id = None;
    };
    assert_eq!(failed_with(failure), "every reply is expected, or explained by a fault");
    let during = |service| {
        move |evidence: &mut Evidence| {
            failure(evidence);
            let (from, to) = (BEGIN + 2 * SECOND, BEGIN + 4 * SECOND);
            evidence.incidents.push(incident("5xx", Some(service), from, to));
        }
    };
    assert_eq!(failed_with(during(Service::Sts)), "");
    assert!(failed_with(during(Service::Dynamodb)).contains("explained by a fault"));
}

#[test]
fn an_instance_that_ends_by_itself_passes_while_parameter_store_fails_only() {
    let (from, to) = (BEGIN + 20 * SECOND, BEGIN + 20 * SECOND);
    let end = |evidence: &mut Evidence| {
        evidence.incidents.push(incident("failed start", None, from, to));
    };
    assert_eq!(failed_with(end), "every reply is expected, or explained by a fault");
    let during = |evidence: &mut Evidence| {
        end(evidence);
        evidence.incidents.push(incident("5xx", Some(Service::Parameters), from, to));
    };
    assert_eq!(failed_with(during), "");
}

#[test]
fn a_decision_by_an_old_policy_fails() {
    let name = "a change of the policy takes effect within its TTL";
    let toggled = |second: u64| {
        move |evidence: &mut Evidence| {
            evidence.exchanges.get_mut(&20).unwrap().kind = Kind::Toggled;
            evidence.policies.push((BEGIN + second * SECOND, Version::Closed));
        }
    };
    assert_eq!(failed_with(toggled(10)), name);
    assert_eq!(failed_with(toggled(19)), "", "within the TTL");
}

#[test]
fn a_blocked_caller_who_gets_something_fails() {
    let served = |evidence: &mut Evidence| evidence.say(57, 200, "OK");
    assert!(failed_with(served).contains("a block holds from the next request on"));
}

#[test]
fn trouble_that_outlasts_the_faults_fails() {
    let degraded = |evidence: &mut Evidence| evidence.line(56).is_degraded = true;
    assert_eq!(failed_with(degraded), "after the faults all is well again");
    let open = |evidence: &mut Evidence| {
        let reply = evidence.exchanges.get_mut(&58).unwrap().reply.as_mut().unwrap();
        reply.health.as_mut().unwrap()["rate_limit"]["breaker"] = "open".into();
    };
    assert!(failed_with(open).starts_with("health answers"));
}

#[test]
fn impossible_readings_and_leaks_fail() {
    assert_eq!(
        failed_with(|evidence| evidence.line(3).store_keys = 99),
        "all readings are possible"
    );
    let leak = |evidence: &mut Evidence| {
        for (reading, kib) in evidence.usage.iter_mut().zip((40_000..).step_by(200)) {
            reading.kib = kib;
        }
    };
    assert_eq!(failed_with(leak), "memory does not grow");
    let descriptors = |evidence: &mut Evidence| evidence.usage[59].descriptors = 1_000;
    assert_eq!(failed_with(descriptors), "file descriptors do not grow");
    let secret = |evidence: &mut Evidence| evidence.problems.push("a secret".to_owned());
    assert!(failed_with(secret).starts_with("no secret"));
}
