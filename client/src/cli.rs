//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Get short-lived AWS credentials from the sentinel-tvm end point of your organisation.
#[derive(Debug, Parser)]
#[command(name = "sentinel", version, max_term_width = 100)]
#[command(
    after_help = "Begin with:  sentinel configure --url URL --aws-profile THE-PROFILE-YOU-LOG-IN-WITH\n\
    If something fails:  sentinel doctor\n\n\
    Exit codes: 0 success, 1 defect of this program, 2 wrong arguments, 3 wrong settings, 4 no valid AWS credentials \
    to sign with, 5 refused, 6 over the quota, 7 end point out of reach, 8 fault on this machine."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which end point, and who signs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "End point")]
pub(crate) struct Shared {
    /// An end point of the settings file, by its name there
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// The URL of an end point; no setting is read from the file
    #[arg(long, global = true, value_name = "URL", conflicts_with = "endpoint")]
    pub(crate) url: Option<String>,
    /// The AWS region of the end point, if its URL does not show it
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The AWS profile that you log in with: its credentials sign the request
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) aws_profile: Option<String>,
    /// A file with the client token, if the end point requires one; only you may read it
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) client_token_file: Option<PathBuf>,
    /// The longest time that the request may take, waiting included [default: 30]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print credentials as JSON: the `credential_process` of an AWS profile
    Credentials(Vend),
    /// Run a command with credentials that are refreshed while it runs
    Exec(Exec),
    /// Serve credentials to programs on this machine, until Ctrl-C
    Serve(Serve),
    /// Write AWS profiles whose credentials come from sentinel into ~/.aws/config
    Configure(Configure),
    /// List the profiles that you could get now without naming a device
    Profiles(Output),
    /// Show whether you would get a profile, and what is missing
    Explain(Explain),
    /// Request a profile that another person has to approve
    Request(RequestAccess),
    /// List your requests, and those that you can decide
    Requests(Output),
    /// Approve somebody else's request
    Approve(Decide),
    /// Refuse somebody else's request, or take its approval back
    Deny(Decide),
    /// Take back your own request, approved or not
    Withdraw(Decide),
    /// Take a profile in an emergency, without waiting for anybody: once a day, and it raises an alarm
    BreakGlass(BreakGlass),
    /// Show which AWS identity signs, and which principal the end point makes of it
    Whoami(Output),
    /// Check this machine, the settings, your credentials and the end point
    Doctor(Output),
    /// Open the AWS console in a browser, signed in with a profile
    Console(Console),
    /// Store or remove the client token in the key ring of the operating system
    Token {
        #[command(subcommand)]
        action: TokenAction,
    },
    /// Remove the cached credentials of all end points from this machine
    Forget,
    /// Print the completions of a shell, for the place where it looks for them
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What a request for credentials names.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ask {
    /// The profile to get; `sentinel profiles` lists them
    pub(crate) profile: String,
    /// How long the credentials should be valid: 900 to 129600; the end point may shorten it
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(900..=129_600))]
    pub(crate) duration: Option<u32>,
    /// The serial number of this device, if a rule requires one; `auto` reads it, `none` sends none
    #[arg(long, value_name = "SERIAL")]
    pub(crate) device: Option<String>,
    /// Get less than the profile has: one of its scopes, which `sentinel profiles` lists
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Option<String>,
    #[command(flatten)]
    pub(crate) claims: Claims,
}

/// What a request says of itself. Nothing proves it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Claims {
    /// What the credentials are for, on one line [env: `SENTINEL_REASON`]
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The ticket that says more [env: `SENTINEL_TICKET`]
    #[arg(long, value_name = "ID")]
    pub(crate) ticket: Option<String>,
    /// Who or what asks: a person, a pipeline, a coding agent [env: `SENTINEL_AGENT`]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
}

/// A request for credentials, and how to treat the cache.
#[derive(Debug, Clone, Args)]
pub(crate) struct Vend {
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Get new credentials although cached ones are valid
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Neither read nor write the cache
    #[arg(long)]
    pub(crate) no_cache: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) vend: Vend,
    /// Set variables such as `AWS_ACCESS_KEY_ID` instead, for programs that read nothing else; never refreshed
    #[arg(long)]
    pub(crate) env: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) vend: Vend,
    /// The loopback address and port to serve on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Configure {
    /// The profiles to write [default: all that you could get now; with --scope, those that have it]
    pub(crate) profiles: Vec<String>,
    /// Put this before the name of each AWS profile
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub(crate) prefix: String,
    /// Write profiles that get less: this scope. An AWS profile is then named PROFILE:SCOPE
    #[arg(long, value_name = "NAME")]
    pub(crate) scope: Option<String>,
    /// The region of the AWS profiles [default: the end point's]
    #[arg(long, value_name = "REGION")]
    pub(crate) profile_region: Option<String>,
    /// The name under which `--url` becomes an end point of the settings file
    #[arg(long = "as", default_value = "default", value_name = "NAME")]
    pub(crate) name: String,
    /// Write without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) ask: Ask,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What access is for.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The profile to get
    pub(crate) profile: String,
    /// Why you need it, on one line
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// The ticket that says more
    #[arg(long, value_name = "ID")]
    pub(crate) ticket: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RequestAccess {
    #[command(flatten)]
    pub(crate) why: Why,
    /// The longest session that you need: 900 to 129600
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(900..=129_600))]
    pub(crate) duration: Option<u32>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The id of the request; `sentinel requests` lists them
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct BreakGlass {
    #[command(flatten)]
    pub(crate) why: Why,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Console {
    #[command(flatten)]
    pub(crate) vend: Vend,
    /// Print the sign-in URL instead of opening it: whoever has it is signed in
    #[arg(long)]
    pub(crate) print: bool,
    /// The page to open [default: the home page of the console]
    #[arg(long, value_name = "URL")]
    pub(crate) destination: Option<String>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand, ValueEnum)]
pub(crate) enum TokenAction {
    /// Read the token from standard input and store it
    Store,
    /// Remove it
    Remove,
}
