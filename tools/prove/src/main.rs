//! Proofs about policy bundles, by Cedar's symbolic compiler and the solver cvc5.
//!
//! - `prove diff OLD NEW` reports what NEW grants and OLD does not, and the reverse, each with a request as
//!   the witness, or proves that there is nothing. Beside it, the differences of the catalogues. Ends with 0
//!   if nothing is newly granted, with 3 if something is or may be, and with 1 after an error.
//! - `prove check DIRECTORY` proves or refutes the `[[invariant]]`s of `tests.toml`, and that no policy
//!   fails to evaluate. Ends with 1 if an invariant is refuted.
//!
//! `--json` prints the result as JSON. `PROVE_PYTHON` is the Python that has cvc5's library; by default
//! the one of `.venv/prove`.
//!
//! Every witness is replayed through the function's own code before it is shown.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod bundle;
mod callers;
mod catalogue;
mod diff;
mod grants;
mod invariants;
mod json;
mod prover;
mod report;
#[cfg(test)]
mod tests;
mod witness;
mod world;

use bundle::Bundle;
use diff::Comparison;
use invariants::Proofs;
use prover::Prover;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: prove diff OLD NEW [--json], or prove check DIRECTORY [--json]";
/// The exit status if something is newly granted.
const NEWLY_GRANTS: u8 = 3;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    arguments.retain(|argument| argument != "--json");
    let outcome = on_a_large_stack(move || match &arguments[..] {
        [command, old, new] if command == "diff" => diff(Path::new(old), Path::new(new), as_json),
        [command, directory] if command == "check" => check(Path::new(directory), as_json),
        _ => Err(USAGE.to_owned()),
    });
    match outcome {
        Ok(status) => status,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Cedar's compiler recurses as deep as expressions are nested.
fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    const STACK: usize = 512 * 1024 * 1024;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| error.to_string())?;
        thread.join().unwrap_or_else(|_| Err("a defect of this program".to_owned()))
    })
}

fn in_runtime<T>(work: impl AsyncFnOnce(&mut Prover) -> Result<T, String>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let mut prover = Prover::start(&python())?;
        work(&mut prover).await
    })
}

fn python() -> PathBuf {
    std::env::var_os("PROVE_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/prove/bin/python"),
        PathBuf::from,
    )
}

fn diff(old: &Path, new: &Path, as_json: bool) -> Result<ExitCode, String> {
    let comparison = compare(old, new)?;
    if as_json {
        println!("{:#}", report::comparison_json(&comparison));
    } else {
        print!("{}", report::comparison_text(&comparison));
    }
    if comparison.widens() {
        Ok(ExitCode::from(NEWLY_GRANTS))
    } else if comparison.undecided() {
        Ok(ExitCode::FAILURE)
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

fn compare(old: &Path, new: &Path) -> Result<Comparison, String> {
    let (old, new) = (Bundle::load(old)?, Bundle::load(new)?);
    in_runtime(async |prover| Comparison::of(prover, &old, &new).await)
}

fn check(directory: &Path, as_json: bool) -> Result<ExitCode, String> {
    let proofs = prove(directory)?;
    if as_json {
        println!("{:#}", report::proofs_json(&proofs));
    } else {
        eprint!("{}", report::proofs_text(&proofs));
    }
    let holds = proofs.invariants.iter().all(invariants::Proof::holds);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prove(directory: &Path) -> Result<Proofs, String> {
    let bundle = Bundle::load(directory)?;
    in_runtime(async |prover| Proofs::of(prover, &bundle).await)
}
