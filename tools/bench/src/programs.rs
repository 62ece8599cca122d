//! The programs to compare, and their settings.

use crate::Result;
use crate::authority::Authority;
use crate::events::Events;
use crate::upstream::Upstreams;
use std::path::{Path, PathBuf};

/// The name of the program that the others are compared with.
pub(crate) const BARE: &str = "bare";

/// A program, ready to start.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its name in the table.
    pub(crate) label: &'static str,
    /// A word for files.
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) events: Events,
    pub(crate) settings: Settings,
    /// What its deployment zip contains.
    pub(crate) zipped: Vec<PathBuf>,
}

/// The variables that a program gets besides Lambda's own.
#[derive(Debug, Clone)]
pub(crate) enum Settings {
    /// The endpoints and the trusted certificates.
    Endpoints,
    /// The same, for boto3, which reads its certificates from `AWS_CA_BUNDLE`.
    Boto3,
    /// The function: everything on, with the policy of this directory.
    Function(PathBuf),
}

/// Where the built programs are.
#[derive(Debug)]
pub(crate) struct Paths {
    /// The repository.
    pub(crate) root: PathBuf,
    /// The function.
    pub(crate) function: PathBuf,
    /// The directory of the built comparison programs.
    pub(crate) others: PathBuf,
    /// The Python with boto3 and awslambdaric, if it is to be measured.
    pub(crate) python: Option<PathBuf>,
    /// The directory for what this run writes.
    pub(crate) output: PathBuf,
}

impl Paths {
    /// The function and the programs beside it, in the order of the table.
    pub(crate) fn programs(&self) -> Result<Vec<Program>> {
        let with_device = Events::with_device(&self.root)?;
        let without = Events::without_device(&self.root, "development", 1)?;
        let binary = |name: &str| self.others.join(name);
        let mut programs = vec![
            self.function("function", "this function", &self.root.join("policy"), with_device),
            self.function(
                "function-no-device",
                "this function, no device named",
                &self.root.join("policy"),
                without.clone(),
            ),
            native(BARE, "bare: the two AWS calls", &binary(BARE), without.clone()),
            native("empty", "empty `lambda_http`", &binary("empty"), without.clone()),
        ];
        if let Some(python) = &self.python {
            let directory = self.root.join("tools/bench/boto3");
            let module = ["-m", "awslambdaric", "handler.handler"].map(str::to_owned);
            programs.push(Program {
                label: "boto3 handler: the two AWS calls",
                name: "boto3",
                command: std::iter::once(text(python)).chain(module).collect(),
                zipped: vec![directory.join("handler.py")],
                directory,
                events: without,
                settings: Settings::Boto3,
            });
        }
        Ok(programs)
    }

    /// The function with everything on.
    pub(crate) fn function(
        &self,
        name: &'static str,
        label: &'static str,
        policy: &Path,
        events: Events,
    ) -> Program {
        Program {
            label,
            name,
            command: vec![text(&self.function)],
            directory: self.root.clone(),
            events,
            settings: Settings::Function(policy.to_owned()),
            zipped: vec![
                self.function.clone(),
                policy.join("profiles.toml"),
                policy.join("access.cedar"),
                policy.join("sentinel.cedarschema"),
            ],
        }
    }
}

fn native(name: &'static str, label: &'static str, binary: &Path, events: Events) -> Program {
    Program {
        label,
        name,
        command: vec![text(binary)],
        directory: PathBuf::from("/"),
        events,
        settings: Settings::Endpoints,
        zipped: vec![binary.to_owned()],
    }
}

impl Settings {
    pub(crate) fn variables(
        &self,
        upstreams: &Upstreams,
        authority: &Authority,
    ) -> Vec<(String, String)> {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL_DYNAMODB", upstreams.address("dynamodb").to_owned()),
            ("AWS_ENDPOINT_URL_STS", upstreams.address("sts").to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", upstreams.address("secretsmanager").to_owned()),
            ("SSL_CERT_FILE", text(&authority.all)),
        ];
        match self {
            Self::Endpoints => {}
            Self::Boto3 => variables.extend([
                ("AWS_CA_BUNDLE", text(&authority.all)),
                ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
                ("_HANDLER", "handler.handler".to_owned()),
            ]),
            Self::Function(policy) => {
                variables.extend(function_variables(upstreams, policy));
                if upstreams.uses_tls() {
                    variables.push(("AWS_CA_BUNDLE", text(&authority.own)));
                }
            }
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The time limits are the longest that the function accepts, because valgrind slows it down fifty times. The quota is one that
/// nobody reaches.
fn function_variables(upstreams: &Upstreams, policy: &Path) -> [(&'static str, String); 10] {
    [
        ("SENTINEL_POLICY_DIR", text(policy)),
        ("SENTINEL_RATE_LIMIT_TABLE", "limits".to_owned()),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "1000000".to_owned()),
        ("SENTINEL_RATE_LIMIT_WINDOW", "1".to_owned()),
        ("SENTINEL_RATE_LIMIT_TIMEOUT_MS", "5000".to_owned()),
        ("SENTINEL_MDM_PROVIDER", "jamf".to_owned()),
        ("SENTINEL_MDM_BASE_URL", upstreams.address("mdm").to_owned()),
        ("SENTINEL_MDM_TIMEOUT_MS", "8000".to_owned()),
        // Under callgrind a hundred requests may take longer than the usual minute.
        ("SENTINEL_MDM_POSTURE_TTL", "3600".to_owned()),
        (
            "MDM_SECRET_ARN",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mdm-a1b2c3".to_owned(),
        ),
    ]
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
