//! The results as tables in Markdown, which read as well in a terminal.

use crate::measure::{Instructions, Spread};
use crate::programs::BARE;
use crate::results::{Measured, Results, Side};
use crate::upstream::Counts;
use std::collections::BTreeMap;

/// A measure of the first table: its name, its value in a program, and the digits to show.
struct Measure {
    name: &'static str,
    value: fn(&Measured) -> Option<f64>,
    digits: usize,
    /// The most that this function's ratio to the bare program may be, or its value.
    goal: &'static str,
}

const MEASURES: [Measure; 16] = [
    Measure {
        name: "TLS: start to first poll, ms",
        value: |p| Some(p.tls.first_poll_ms.median),
        digits: 1,
        goal: "",
    },
    Measure {
        name: "TLS: start to first reply, ms",
        value: |p| Some(p.tls.first_reply_ms.median),
        digits: 1,
        goal: "ratio 0.30",
    },
    Measure {
        name: "TLS: processor time of that, ms",
        value: |p| Some(p.tls.cold_cpu_ms.median),
        digits: 1,
        goal: "",
    },
    Measure {
        name: "plain: start to first poll, ms",
        value: |p| Some(p.plain.first_poll_ms.median),
        digits: 1,
        goal: "",
    },
    Measure {
        name: "plain: start to first reply, ms",
        value: |p| Some(p.plain.first_reply_ms.median),
        digits: 1,
        goal: "",
    },
    Measure {
        name: "instructions, start to first reply, millions",
        value: |p| start(&p.plain),
        digits: 2,
        goal: "ratio 0.60",
    },
    Measure {
        name: "the same, with the root certificates of this machine",
        value: |p| p.machine_roots,
        digits: 2,
        goal: "ratio 0.60",
    },
    Measure {
        name: "instructions per further request, millions",
        value: |p| request(&p.plain),
        digits: 3,
        goal: "ratio 1.15",
    },
    Measure {
        name: "TLS: instructions, start to first reply, millions",
        value: |p| start(&p.tls),
        digits: 2,
        goal: "",
    },
    Measure {
        name: "TLS: instructions per further request, millions",
        value: |p| request(&p.tls),
        digits: 3,
        goal: "",
    },
    Measure {
        name: "TLS: warm request, p50, ms",
        value: |p| Some(p.tls.warm.p50_ms),
        digits: 3,
        goal: "",
    },
    Measure {
        name: "TLS: warm request, p99, ms",
        value: |p| Some(p.tls.warm.p99_ms),
        digits: 3,
        goal: "",
    },
    Measure {
        name: "TLS: processor time of a warm request, ms",
        value: |p| Some(p.tls.warm.cpu_ms),
        digits: 3,
        goal: "",
    },
    Measure {
        name: "plain: processor time of a warm request, ms",
        value: |p| Some(p.plain.warm.cpu_ms),
        digits: 3,
        goal: "",
    },
    Measure {
        name: "peak memory, MiB",
        value: |p| Some(p.tls.warm.peak_mib),
        digits: 1,
        goal: "14",
    },
    Measure { name: "zip, MB", value: |p| Some(p.zip_mb), digits: 2, goal: "5.5" },
];

fn start(side: &Side) -> Option<f64> {
    side.instructions.map(|counted| counted.start)
}

fn request(side: &Side) -> Option<f64> {
    side.instructions.map(|counted| counted.request)
}

/// All tables.
pub(crate) fn render(results: &Results) -> String {
    let parts = [
        ("Beside other programs", beside(results)),
        ("Spread of the cold starts", spread(results)),
        ("Calls and connections", calls(results)),
        ("Requests at the same time", throughput(results)),
        ("Profiles and policies", growth(results)),
        ("Known callers", callers(results)),
        ("A million vends", costs(results)),
    ];
    parts.map(|(title, table)| format!("### {title}\n\n{table}")).join("\n")
}

fn table(head: &[String], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    line(head) + &rule + &rows
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The ratio to the bare program is in brackets.
fn beside(results: &Results) -> String {
    let labels = results.programs.iter().map(|program| program.label);
    let head = head(&std::iter::once("").chain(labels).chain(["limit"]).collect::<Vec<_>>());
    let row = |measure: &Measure| {
        let bare = results.program(BARE).and_then(measure.value);
        let cell = |program: &Measured| match ((measure.value)(program), bare) {
            (Some(value), Some(_)) if program.name == BARE => format!("{value:.*}", measure.digits),
            (Some(value), Some(bare)) => {
                format!("{value:.*} ({:.2})", measure.digits, value / bare)
            }
            _ => "–".to_owned(),
        };
        let cells = results.programs.iter().map(cell);
        std::iter::once(measure.name.to_owned())
            .chain(cells)
            .chain([measure.goal.to_owned()])
            .collect()
    };
    table(&head, MEASURES.iter().map(row))
}

fn spread(results: &Results) -> String {
    let text =
        |spread: &Spread| format!("{:.1} ({:.1} to {:.1})", spread.median, spread.min, spread.max);
    let row = |program: &Measured| {
        let sides = [&program.tls, &program.plain];
        let cells = sides.map(|side| [text(&side.first_poll_ms), text(&side.first_reply_ms)]);
        std::iter::once(program.label.to_owned()).chain(cells.into_iter().flatten()).collect()
    };
    let head = head(&[
        "ms: median (least to most)",
        "TLS: first poll",
        "TLS: first reply",
        "plain: first poll",
        "plain: first reply",
    ]);
    table(&head, results.programs.iter().map(row))
}

fn calls(results: &Results) -> String {
    let list = |counts: &BTreeMap<&'static str, u64>| {
        let items: Vec<String> =
            counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if items.is_empty() { "none".to_owned() } else { items.join(", ") }
    };
    let both = |counts: &Counts| [list(&counts.calls), list(&counts.connections)];
    let row = |program: &Measured| {
        let [start, _] = both(&program.tls.start);
        let [first, connections] = both(&program.tls.first_request);
        let warm: Vec<String> =
            program.tls.warm.calls.iter().map(|(name, calls)| format!("{calls} {name}")).collect();
        let warm = if warm.is_empty() { "none".to_owned() } else { warm.join(", ") };
        vec![program.label.to_owned(), start, first, connections, warm]
    };
    let head = head(&[
        "",
        "calls before the first poll",
        "calls of the first request",
        "new connections of the first request",
        "calls per warm request",
    ]);
    table(&head, results.programs.iter().map(row))
}

fn throughput(results: &Results) -> String {
    let row = |at: &crate::results::Throughput| {
        let cells =
            [at.function, at.bare].map(|(rate, busy)| [format!("{rate:.0}"), format!("{busy:.2}")]);
        std::iter::once(at.in_flight.to_string()).chain(cells.into_iter().flatten()).collect()
    };
    let head = head(&[
        "at once",
        "this function, per second",
        "processors busy",
        "bare, per second",
        "processors busy",
    ]);
    let quota = format!(
        "\nOf 300 requests of one caller, 16 at once, with a quota of 100, {} passed.\n",
        results.admitted_of_quota_100
    );
    table(&head, results.throughput.iter().map(row)) + &quota
}

fn counted(instructions: Option<Instructions>) -> [String; 2] {
    instructions.map_or(["–", "–"].map(str::to_owned), |counted| {
        [format!("{:.2}", counted.start), format!("{:.3}", counted.request)]
    })
}

fn growth(results: &Results) -> String {
    let row = |at: &crate::results::Growth| {
        let [start, request] = counted(at.instructions);
        vec![
            at.profiles.to_string(),
            format!("{:.1}", at.first_reply_ms.median),
            start,
            request,
            format!("{:.3}", at.warm.p50_ms),
            format!("{:.3}", at.warm.cpu_ms),
            format!("{:.1}", at.warm.peak_mib),
        ]
    };
    let head = head(&[
        "profiles and policies",
        "TLS: start to first reply, ms",
        "instructions, start to first reply, millions",
        "per further request",
        "warm p50, ms",
        "processor time, ms",
        "peak memory, MiB",
    ]);
    table(&head, results.growth.iter().map(row))
}

fn callers(results: &Results) -> String {
    let row = |at: &crate::results::Callers| {
        let warm = &at.warm;
        let figures = [warm.p50_ms, warm.p99_ms, warm.cpu_ms].map(|value| format!("{value:.3}"));
        let memory = format!("{:.1}", warm.peak_mib);
        std::iter::once(at.callers.to_string()).chain(figures).chain([memory]).collect()
    };
    let head = head(&[
        "known callers",
        "warm p50, ms",
        "warm p99, ms",
        "processor time, ms",
        "peak memory, MiB",
    ]);
    table(&head, results.callers.iter().map(row))
}

fn costs(results: &Results) -> String {
    let row = |of: &crate::results::Costs| {
        let figures = [of.warm, of.cold].map(|cost| {
            [format!("{:.0}", cost.billed_ms), format!("${:.2}", cost.dollars_per_million)]
        });
        let memory = format!("{:.0}", of.memory_mib);
        [of.label.to_owned(), memory].into_iter().chain(figures.into_iter().flatten()).collect()
    };
    let head = head(&[
        "",
        "memory, MiB",
        "warm: billed, ms",
        "warm: a million",
        "cold: billed, ms",
        "cold: a million",
    ]);
    table(&head, results.costs.iter().map(row))
}
