//! Standard output and standard error.
//!
//! Invariant: results go to standard output, everything for people to standard error. Progress is shown only if standard
//! error is a terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use crate::failure::Failure;

/// How long to wait in silence.
const PATIENCE: Duration = Duration::from_millis(800);

/// Writes a result. A closed pipe is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::local(
            format!("standard output cannot be written: {error}"),
            "check the file, disk or pipe that it goes to",
        )),
        _ => Ok(()),
    }
}

/// Writes a result and a line break.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Writes one line for people.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "sentinel: {text}");
}

/// Writes text for people as it is.
pub(crate) fn show(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Reports a failure in one sentence.
pub(crate) fn report(failure: &Failure) {
    note(&failure.to_string());
}

/// Whether progress is shown.
pub(crate) fn shows_progress() -> bool {
    io::stderr().is_terminal()
}

/// Awaits `work`. On a terminal, shows what it waits for if that takes long.
pub(crate) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if !shows_progress() {
        return work.await;
    }
    tokio::select! {
        done = &mut work => done,
        () = tokio::time::sleep(PATIENCE) => {
            note(&format!("waiting for {what} …"));
            work.await
        }
    }
}

/// Shows once, on a terminal, what a loop waits for.
#[derive(Debug)]
pub(crate) struct Patience {
    waited: Duration,
    shown: bool,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { waited: Duration::ZERO, shown: false }
    }

    /// Sleeps. Shows the reason if all sleeps together are long.
    pub(crate) fn sleep(&mut self, pause: Duration, what: &str) {
        std::thread::sleep(pause);
        self.waited += pause;
        if self.waited >= PATIENCE && !self.shown && shows_progress() {
            self.shown = true;
            note(&format!("waiting for {what} …"));
        }
    }
}

/// Asks a question that only `y` or `yes` answers with yes.
pub(crate) fn confirm(question: &str) -> bool {
    show(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
