//! Plays Lambda and AWS to the function, and to programs to compare it with, and measures them. `make bench-start` and
//! `make bench-check` run it; docs/performance.md explains the method.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod authority;
mod baseline;
mod chart;
mod cost;
mod events;
mod growth;
mod lambda;
mod measure;
mod programs;
mod results;
mod table;
mod upstream;

use programs::Paths;
use results::{Effort, Results};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "bench start|check --function FILE --others DIRECTORY [--python FILE] [--output DIRECTORY]
      [--starts 11] [--requests 2000] [--delay-ms 0] [--callers 50000] [--profiles 1000] [--record yes]";

#[tokio::main]
async fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<()> {
    let (command, options) = arguments.split_first().ok_or(USAGE)?;
    let options = options.chunks(2).map(|pair| match pair {
        [name, value] => Ok((name.strip_prefix("--").ok_or(USAGE)?, value.as_str())),
        _ => Err(USAGE),
    });
    let options: HashMap<&str, &str> = options.collect::<std::result::Result<_, _>>()?;
    let path = |name: &str| options.get(name).map(std::path::absolute).transpose();
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize()?;
    let paths = Paths {
        function: path("function")?.ok_or(USAGE)?,
        others: path("others")?.ok_or(USAGE)?,
        python: path("python")?,
        output: path("output")?.unwrap_or_else(|| root.join("target/bench/output")),
        root,
    };
    match command.as_str() {
        "start" => start(&paths, &options).await,
        "check" => baseline::check(&paths).await,
        _ => Err(USAGE.into()),
    }
}

async fn start(paths: &Paths, options: &HashMap<&str, &str>) -> Result<()> {
    let number = |name: &str, default: u64| {
        options.get(name).map_or(Ok(default), |text| text.parse().map_err(|_| USAGE))
    };
    let effort = Effort {
        starts: usize::try_from(number("starts", 11)?)?,
        requests: number("requests", 2_000)?,
        delay_ms: number("delay-ms", 0)?,
        callers: number("callers", 50_000)?,
        profiles: usize::try_from(number("profiles", 1_000)?)?,
    };
    let results = Results::measure(paths, effort).await?;
    let tables = table::render(&results);
    fs::write(paths.output.join("results.json"), serde_json::to_string_pretty(&results)?)?;
    fs::write(paths.output.join("tables.md"), &tables)?;
    fs::write(paths.output.join("chart.svg"), chart::draw(&results))?;
    println!("{tables}");
    say(&format!("written to {}", paths.output.display()));
    if options.contains_key("record") {
        baseline::record(&results, paths)?;
        fs::write(paths.root.join("docs/performance.svg"), chart::draw(&results))?;
        insert(&paths.root.join("docs/performance.md"), &tables)?;
    }
    Ok(())
}

/// Replaces what is between the two marks in a document.
fn insert(document: &Path, tables: &str) -> Result<()> {
    const MARKS: [&str; 2] = ["<!-- tables -->\n", "<!-- end of the tables -->\n"];
    let text = fs::read_to_string(document)?;
    let (before, rest) = text.split_once(MARKS[0]).ok_or("no mark before the tables")?;
    let (_, after) = rest.split_once(MARKS[1]).ok_or("no mark after the tables")?;
    let [begin, end] = MARKS;
    Ok(fs::write(document, format!("{before}{begin}\n{tables}\n{end}{after}"))?)
}

/// Reports progress, beside the results.
fn say(text: &str) {
    eprintln!("{text}");
}
