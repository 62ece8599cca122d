use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{SECRETS, SIGNING_KEY, SIGNING_TOKEN};

/// A home directory of its own for each test, removed with its value.
pub(crate) struct Home(PathBuf);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

static HOMES: AtomicU32 = AtomicU32::new(0);

impl Home {
    pub(crate) fn new() -> Self {
        let number = HOMES.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("sentinel-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }

    /// Writes a file below the home directory.
    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program, in an environment that has nothing but a home and keys to sign with.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &self.0)
            .env("PATH", "/usr/bin:/bin")
            .env("SENTINEL_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SIGNING_KEY)
            .env("AWS_SESSION_TOKEN", SIGNING_TOKEN)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        command
    }

    /// Runs `sentinel ARGUMENTS --url URL`.
    pub(crate) fn run(&self, url: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(&[]);
        let (before, after) = match arguments.iter().position(|it| *it == "--") {
            Some(end) => arguments.split_at(end),
            None => (arguments, &[][..]),
        };
        command.args(before).args(["--url", url]).args(after);
        Ran::of(command)
    }

    /// The files of the cache with this extension.
    pub(crate) fn cached(&self, extension: &str) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(self.path(".cache/sentinel")) else { return Vec::new() };
        let files = files.map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
    }

    /// The only cache entry.
    pub(crate) fn entry(&self) -> PathBuf {
        let mut entries = self.cached("json");
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Ran {
    pub(crate) fn of(mut command: Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Asserts the exit code and that standard error has these texts, and returns it.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, texts: &[&str]) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "a failure prints no result");
        for text in texts {
            assert!(self.stderr.contains(text), "{text} in {}", self.stderr);
        }
        let lines: Vec<_> =
            self.stderr.lines().filter(|line| !line.contains("warning: ")).collect();
        assert_eq!(lines.len(), 1, "one sentence: {}", self.stderr);
        assert!(self.stderr.contains("; next: "), "{}", self.stderr);
        &self.stderr
    }

    /// Asserts success without a word on standard error, and returns the access key id.
    #[track_caller]
    pub(crate) fn vended(&self) -> String {
        assert_eq!(self.stderr, "");
        self.vended_with_warning(&[])
    }

    /// Asserts success with these texts on standard error, and returns the access key id.
    #[track_caller]
    pub(crate) fn vended_with_warning(&self, texts: &[&str]) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text} in {}", self.stderr);
        }
        let body: serde_json::Value = serde_json::from_str(&self.stdout).unwrap();
        assert_eq!(body["Version"], 1);
        body["AccessKeyId"].as_str().unwrap().to_owned()
    }
}

impl From<Output> for Ran {
    /// Every run in every test is searched for secrets.
    #[track_caller]
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        for secret in SECRETS {
            assert!(!stderr.contains(secret), "a secret on standard error: {stderr}");
        }
        assert!(!stderr.contains("defect"), "{stderr}");
        Self { code: output.status.code().unwrap_or(-1), stdout, stderr }
    }
}
