//! A long run of the function in its concurrent mode, against services that fail on purpose. `make soak` runs it;
//! docs/assurance.md explains what it checks.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod checks;
mod clock;
mod director;
mod exchanges;
mod lambda;
mod lines;
mod load;
mod report;
mod usage;
mod world;

use checks::Evidence;
use director::{Incidents, Plan};
use exchanges::Exchanges;
use lambda::Lambda;
use lines::Lines;
use load::Load;
use report::Report;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use usage::Usage;
use world::World;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str =
    "soak --function FILE [--minutes 1] [--per-second 120] [--seed N] [--output DIRECTORY]
     [--build WORDS] [--record yes]";

#[tokio::main]
async fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every check passed.
async fn run(arguments: &[String]) -> Result<bool> {
    let options = arguments.chunks(2).map(|pair| match pair {
        [name, value] => Ok((name.strip_prefix("--").ok_or(USAGE)?, value.as_str())),
        _ => Err(USAGE),
    });
    let options: HashMap<&str, &str> = options.collect::<std::result::Result<_, _>>()?;
    let number = |name: &str, default: u64| {
        options.get(name).map_or(Ok(default), |text| text.parse().map_err(|_| USAGE))
    };
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize()?;
    let output = options.get("output").map_or_else(|| root.join("target/soak"), PathBuf::from);
    fs::create_dir_all(&output)?;
    let function = std::path::absolute(options.get("function").ok_or(USAGE)?)?;
    let seed = number("seed", clock::now())?;
    let minutes = number("minutes", 1)?.clamp(1, 24 * 60);
    let per_second = u32::try_from(number("per-second", 120)?)?.clamp(10, 10_000);
    eprintln!("a run of {minutes} min with {per_second} requests a second and the seed {seed}");
    let evidence = gather(function, &output, seed, minutes, per_second).await?;
    let report = Report::of(&evidence, seed, options.get("build").copied().unwrap_or("unknown"));
    let table = report.table();
    println!("{table}");
    fs::write(output.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    fs::write(output.join("soak.svg"), report::draw(&evidence))?;
    eprintln!("written to {}", output.display());
    if options.contains_key("record") && report.passed() {
        fs::write(root.join("docs/soak.svg"), report::draw(&evidence))?;
        insert(&root.join("docs/assurance.md"), &table)?;
    }
    Ok(report.passed())
}

/// Runs the function, and collects all that can be known of it.
async fn gather(
    function: PathBuf,
    output: &Path,
    seed: u64,
    minutes: u64,
    per_second: u32,
) -> Result<Evidence> {
    let (world, addresses) = World::start(seed).await?;
    let exchanges = Arc::new(Exchanges::default());
    let lines = Arc::new(Lines::new(&output.join("function.log"))?);
    let (incidents, usage) = (Incidents::default(), Usage::default());
    let load = Load::new(seed, per_second);
    checks::use_up_days(&world)?;
    let variables = checks::variables(&addresses);
    let lambda = Lambda::new(function, variables, Arc::clone(&exchanges), Arc::clone(&lines));
    let begin = clock::now();
    let plan = Plan { seed, begin, end: begin + minutes * 60 * clock::SECOND };
    let director = async {
        let (instances, blocks, ..) = tokio::join!(
            director::instances(plan, &lambda, &exchanges, &incidents, &usage),
            director::blocks(plan, &world, &incidents),
            director::faults(plan, &world, &incidents),
            director::policies(plan, &world, &incidents),
            director::tokens(plan, &world, &incidents),
        );
        load.end();
        blocks?;
        let instances = instances?;
        let longest = clock::now() + 2 * lambda::TIME_LIMIT;
        while exchanges.open() > 0 && clock::now() < longest {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let numbers = instances.each_ref().map(|instance| instance.number);
        for instance in instances {
            instance.retire(&exchanges).await?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(numbers)
    };
    let driven = async {
        // Lambda sends no request before an instance has started.
        tokio::time::sleep(Duration::from_millis(500)).await;
        load.run(&lambda, &exchanges, &world).await
    };
    let (survivors, driven) = tokio::join!(director, driven);
    driven?;
    let survivors = survivors?;
    let (exchanges, mut problems) = exchanges.take();
    let read = lines.take();
    problems.extend(read.problems);
    Ok(Evidence {
        plan,
        exchanges,
        lines: read.audit,
        problems,
        messages: read.messages,
        log_bytes: read.bytes,
        incidents: incidents.all(),
        policies: world.parameters.history(),
        sessions: world.sts.sessions(),
        writes: world.table.writes(),
        tats: world.table.tats()?,
        injected: world.injected(),
        calls: world.calls(),
        usage: usage.all(),
        held_back: load.held_back(),
        survivors,
    })
}

/// Replaces what is between the two marks in a document.
fn insert(document: &Path, table: &str) -> Result<()> {
    const MARKS: [&str; 2] = ["<!-- soak -->\n", "<!-- end of the soak -->\n"];
    let text = fs::read_to_string(document)?;
    let (before, rest) = text.split_once(MARKS[0]).ok_or("no mark before the table")?;
    let (_, after) = rest.split_once(MARKS[1]).ok_or("no mark after the table")?;
    let [begin, end] = MARKS;
    Ok(fs::write(document, format!("{before}{begin}\n{table}\n{end}{after}"))?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
