//! Many processes at once.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::{Answer, Home, Ran, Stub};

const PROCESSES: usize = 200;

/// Starts the program many times, and waits for all of them.
fn run_all(home: &Home, url: &str, arguments: &[&str]) -> Vec<Ran> {
    let children: Vec<Child> = (0..PROCESSES)
        .map(|_| {
            let mut command = home.command(arguments);
            command.args(["--url", url]).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    children.into_iter().map(|child| Ran::from(child.wait_with_output().unwrap())).collect()
}

#[test]
fn two_hundred_processes_cost_one_request() {
    let home = Home::new();
    let stub = Stub::start(|n, _| Answer::credentials(n, 3600).delayed(Duration::from_millis(300)));
    let ran = run_all(&home, &stub.url, &["credentials", "development"]);

    let printed: BTreeSet<_> = ran.iter().map(|ran| (ran.vended(), ran.stdout.clone())).collect();
    assert_eq!(printed.len(), 1, "all print the same");
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn two_hundred_refused_processes_cost_one_request() {
    let home = Home::new();
    let stub = Stub::start(|_, _| {
        Answer::error(403, "POLICY_DENY", "No.").delayed(Duration::from_millis(1500))
    });
    for ran in run_all(&home, &stub.url, &["credentials", "development"]) {
        ran.failed(5, &["POLICY_DENY", "request id req-1"]);
    }
    // A process that the machine starts only after the refusal asks for itself.
    let requests = stub.requests();
    let vends = requests.iter().filter(|it| it.target.starts_with("/v1/credentials?")).count();
    assert!(vends <= 5 && requests.len() <= 2 * vends, "{vends} of {}", requests.len());
}

#[test]
fn an_aging_entry_is_refreshed_by_one_process_while_the_others_use_it() {
    let home = Home::new();
    let stub = Stub::start(|n, _| {
        if n == 1 {
            Answer::credentials(1, 300)
        } else {
            Answer::credentials(n, 3600).delayed(Duration::from_secs(3))
        }
    });
    home.run(&stub.url, &["credentials", "development"]).vended();
    let mut entry: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.entry()).unwrap()).unwrap();
    entry["issued"] = (entry["issued"].as_i64().unwrap() - 10_000).into();
    std::fs::write(home.entry(), entry.to_string()).unwrap();

    let ran = run_all(&home, &stub.url, &["credentials", "development"]);
    let old = ran.iter().filter(|ran| ran.vended() == "ASIA1").count();
    assert!(old > PROCESSES / 2, "{old} did not wait");
    assert_eq!(stub.requests().len(), 2);
}

#[test]
fn a_process_that_is_killed_while_it_asks_does_not_block_the_next() {
    let home = Home::new();
    let stub = Stub::start(|n, _| {
        Answer::credentials(n, 3600).delayed(Duration::from_secs(if n == 1 { 60 } else { 0 }))
    });
    let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while stub.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(home.run(&stub.url, &["credentials", "development"]).vended(), "ASIA2");
}

#[test]
fn processes_that_are_killed_at_any_moment_leave_a_cache_that_works() {
    let (home, stub) = (Home::new(), Stub::vending());
    for milliseconds in 0..40 {
        let mut command =
            home.command(&["credentials", "development", "--refresh", "--url", &stub.url]);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        home.run(&stub.url, &["credentials", "development"]).vended();
    }
}

#[test]
fn what_a_killed_process_left_half_written_is_replaced() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &["credentials", "development"]).vended();
    let entry = home.entry();
    std::fs::rename(&entry, entry.with_extension("new")).unwrap();

    assert_eq!(home.run(&stub.url, &["credentials", "development"]).vended(), "ASIA2");
    assert!(home.cached("new").is_empty());
}

#[test]
fn who_waits_for_another_process_gives_up_at_the_deadline() {
    let home = Home::new();
    let stub = Stub::start(|n, _| Answer::credentials(n, 3600).delayed(Duration::from_secs(8)));
    let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
    let mut first = command.stdout(Stdio::null()).spawn().unwrap();
    while stub.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    home.run(&stub.url, &["credentials", "development", "--timeout", "1"])
        .failed(7, &["another sentinel", "--timeout"]);
    first.kill().unwrap();
    first.wait().unwrap();
}
