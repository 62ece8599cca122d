//! A policy bundle, checked with the code that the function itself loads and decides with; nothing
//! leaves this machine.
//!
//! - `policy check DIRECTORY` tells every problem with its file, line and column, and runs the
//!   expectations in the directory's `tests.toml`, which says of callers, profiles and
//!   circumstances what is to be decided.
//! - `policy parameters DIRECTORY PATH` checks both, and prints the bundle as the parameters that
//!   hold it below PATH in Parameter Store: a JSON object of names, without the path, and texts.
//!
//! `make policy-check` and `make policy-push` run it. It ends with 1 if anything is wrong.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use policy::{Check, Expectations};
use sentinel_tvm::{BundleError, BundleFiles, ParameterPath, Policy};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: policy check DIRECTORY, or policy parameters DIRECTORY PATH";

/// Everything that is wrong, one line each.
type Problems = Vec<String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [command, directory] if command == "check" => check(Path::new(directory)).map(drop),
        [command, directory, path] if command == "parameters" => {
            parameters(Path::new(directory), path)
        }
        _ => Err(vec![USAGE.to_owned()]),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Checks the bundle in `directory` and runs its expectations.
fn check(directory: &Path) -> Result<BundleFiles, Problems> {
    let in_directory = |problem: &String| format!("{}/{problem}", directory.display());
    let placed = |BundleError(problems): BundleError| {
        problems.iter().map(in_directory).collect::<Problems>()
    };
    let expectations =
        Expectations::parse(&tests(directory)?).map_err(|problem| vec![in_directory(&problem)])?;
    let text = BundleFiles::from_directory(directory).map_err(|BundleError(problems)| problems)?;
    let policy = Policy::load(&text, &expectations.options()).map_err(placed)?;
    for warning in policy.warnings() {
        eprintln!("warning: {}", in_directory(warning));
    }
    eprintln!(
        "{}: {} profiles, digest {}",
        directory.display(),
        policy.profile_count(),
        policy.digest()
    );
    report(&expectations, &policy)?;
    let flawed: Problems =
        expectations.invariants.iter().flat_map(|invariant| invariant.problems(&text)).collect();
    if flawed.is_empty() { Ok(text) } else { Err(flawed.iter().map(in_directory).collect()) }
}

/// The text of `tests.toml`; empty if there is none.
fn tests(directory: &Path) -> Result<String, Problems> {
    let file: PathBuf = directory.join("tests.toml");
    if !file.exists() {
        eprintln!(
            "warning: {} does not exist: nothing is expected of these policies",
            file.display()
        );
        return Ok(String::new());
    }
    fs::read_to_string(&file).map_err(|error| vec![format!("{}: {error}", file.display())])
}

/// Runs the expectations and tells how each fares.
fn report(expectations: &Expectations, policy: &Policy) -> Result<(), Problems> {
    let mut unmet = 0;
    for (name, verdict) in expectations.run(policy) {
        match verdict {
            Check::Passed => eprintln!("  ok    {name}"),
            Check::Failed(why) => {
                unmet += 1;
                eprintln!("  FAIL  {name}: {why}");
            }
        }
    }
    match unmet {
        0 => Ok(()),
        unmet => Err(vec![format!(
            "{unmet} of the expectations in tests.toml are not met: mend the policies, or the expectations"
        )]),
    }
}

fn parameters(directory: &Path, path: &str) -> Result<(), Problems> {
    ParameterPath::parse(path).map_err(|error| vec![format!("{path} {error}")])?;
    let parameters = check(directory)?.parameters().map_err(|BundleError(problems)| problems)?;
    let json = serde_json::to_string(&parameters).map_err(|error| vec![error.to_string()])?;
    println!("{json}");
    Ok(())
}
