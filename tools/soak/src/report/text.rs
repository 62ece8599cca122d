//! The table, in Markdown.

use super::Report;
use crate::checks::{Check, Growth};
use std::collections::BTreeMap;
use std::fmt::Display;

pub(super) fn render(report: &Report) -> String {
    let run = table(
        ["the run", ""],
        [
            ["length", &format!("{} s, seed {}", report.seconds, report.seed)],
            ["function", &report.build],
            ["machine", &format!("{} processors", report.processors)],
            ["requests", &format!("{}, {} a minute", report.requests, report.requests_per_minute)],
            ["requests held back, because the instances were full", &report.held_back.to_string()],
            ["instances, of which two at a time", &report.instances.to_string()],
            [
                "took, median and 99 %",
                &format!("{:.0} ms, {:.0} ms", report.took_ms[0], report.took_ms[1]),
            ],
            ["limiter decided by", &counts(&report.decided_by)],
            ["log", &format!("{:.0} MB", megabytes(report.log_bytes))],
            ["memory of the first instance", &growth(report.memory_kib, 1_024.0, "MiB")],
            ["its file descriptors", &growth(report.descriptors, 1.0, "")],
        ],
    );
    let faults = report.injected.iter().map(|(service, kinds)| {
        [
            (*service).to_owned(),
            report.calls.get(service).copied().unwrap_or(0).to_string(),
            counts(kinds),
        ]
    });
    let incidents =
        report.incidents.iter().map(|(what, count)| [(*what).to_owned(), count.to_string()]);
    let codes = report.codes.iter().map(|(code, count)| [format!("`{code}`"), count.to_string()]);
    let checks = report.checks.iter().map(|check| {
        [check.name.to_owned(), verdict(check).to_owned(), check.detail.replace('|', "/")]
    });
    [
        run,
        table(["service", "calls", "of which failed on purpose"], faults),
        table(["what else was done", "times"], incidents),
        table(["code in the audit line", "count"], codes),
        table(["check", "", "found"], checks),
    ]
    .join("\n")
}

fn verdict(check: &Check) -> &'static str {
    if check.passed { "passed" } else { "**FAILED**" }
}

fn growth(growth: Option<Growth>, unit: f64, name: &str) -> String {
    growth.map_or_else(String::new, |growth| {
        format!(
            "{:.1} {name} after the warm-up, {:.1} at the end, {:.1} at most, {:+.2} a minute",
            growth.first / unit,
            growth.last / unit,
            growth.most / unit,
            growth.per_minute / unit
        )
    })
}

fn counts<T: Display>(counts: &BTreeMap<T, u64>) -> String {
    let each = counts.iter().map(|(name, count)| format!("{name} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn table<const N: usize, T: AsRef<str>>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [T; N]>,
) -> String {
    let line = |cells: [&str; N]| format!("| {} |\n", cells.join(" | "));
    let rows = rows.into_iter().map(|row| line(row.each_ref().map(AsRef::as_ref)));
    line(head) + &line(["---"; N]) + &rows.collect::<String>()
}
