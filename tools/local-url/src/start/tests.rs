use std::fs;
use std::io::Write as _;

use super::*;

/// A log that grows, as `cargo lambda watch` writes it. Its file is removed at the end.
struct Log {
    path: PathBuf,
    log: StartLog,
}

impl Log {
    fn new() -> Self {
        let name = format!("local-url-start-{:032x}.log", fastrand::u128(..));
        let path = std::env::temp_dir().join(name);
        Self { log: StartLog::new(path.clone()), path }
    }

    /// Appends to the log; why the function does not run then.
    fn after(&self, text: &str) -> Option<String> {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.log.failure()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

const STARTS: &str = "    Finished `dev` profile\n     Running `target/debug/sentinel-tvm`\n";
const SERVES: &str = "{\"level\":\"INFO\",\"message\":\"this policy is in force\"}\n";
const FAILS: &str = "{\"level\":\"ERROR\",\"message\":\"the start failed; no request is served\",\
    \"problems\":\"access.cedar:66:18: unexpected end of input\"}\n";

#[test]
fn a_function_without_a_log_may_run() {
    assert_eq!(Log::new().log.failure(), None);
}

#[test]
fn a_failed_start_is_reported_until_the_function_starts_again() {
    let log = Log::new();
    assert_eq!(log.after(&format!("{STARTS}{SERVES}")), None);
    let problems = Some("access.cedar:66:18: unexpected end of input".to_owned());
    assert_eq!(log.after(&format!("{STARTS}{FAILS}")), problems);
    assert_eq!(log.after("ERROR command exited code=1\n"), problems);
    assert_eq!(log.after("{\"type\":\"audit\"}\n"), problems, "of a request before the change");
    assert_eq!(log.after(STARTS), None);
    assert_eq!(log.after(SERVES), None);
}

#[test]
fn a_function_that_does_not_compile_is_reported_with_the_first_error() {
    let log = Log::new();
    let text = "   Compiling sentinel-tvm v0.1.0\nerror[E0425]: cannot find value `x`\n --> src/app.rs:1:2\n\
        error: expected `;`\nerror: could not compile `sentinel-tvm` (lib) due to 2 previous errors\n";
    let reason = "it does not compile: error[E0425]: cannot find value `x`";
    assert_eq!(log.after(text).as_deref(), Some(reason));
    assert_eq!(log.after("   Compiling sentinel-tvm v0.1.0\n"), None);
}

#[test]
fn a_process_that_ends_is_reported() {
    let log = Log::new();
    let reason = log.after(&format!("{STARTS}\u{1b}[31mERROR\u{1b}[0m command exited code=101\n"));
    assert_eq!(reason.as_deref(), Some("its process has ended"));
}

#[test]
fn half_a_line_waits_for_its_end() {
    let log = Log::new();
    let (first, second) = FAILS.split_at(40);
    assert_eq!(log.after(first), None);
    assert!(log.after(second).is_some());
}

#[test]
fn a_log_that_begins_again_is_read_from_its_start() {
    let log = Log::new();
    assert!(log.after(&format!("{STARTS}{FAILS}")).is_some());
    fs::write(&log.path, STARTS).unwrap();
    assert_eq!(log.log.failure(), None);
}
