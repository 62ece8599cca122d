//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Credentials from a sentinel-tvm end point, for AWS profiles, programs and consoles.
#[derive(Debug, Parser)]
#[command(name = "sentinel", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 defect, 2 arguments, 3 settings, 4 AWS credentials, 5 refused, \
    6 throttled, 7 out of reach, 8 this machine."
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
    /// A named end point of the settings file
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// The URL of an end point that the settings file does not name
    #[arg(long, global = true, value_name = "URL", conflicts_with = "endpoint")]
    pub(crate) url: Option<String>,
    /// The AWS region of the end point, if its URL does not show it
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The AWS profile whose credentials sign the request
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) aws_profile: Option<String>,
    /// A file that holds the client token and that only you can read
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) client_token_file: Option<PathBuf>,
    /// Seconds that the command may take, waiting included
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print credentials as a `credential_process` of AWS does
    Credentials(Vend),
    /// Run a command with credentials that refresh for as long as it runs
    Exec(Exec),
    /// Serve credentials to local programs, as a container does
    Serve(Serve),
    /// Write AWS profiles that get their credentials from here
    Configure(Configure),
    /// List the profiles that you could get now without naming a device
    Profiles(Output),
    /// Show what a request would get, and what is missing
    Explain(Explain),
    /// Show who the end point sees
    Whoami(Output),
    /// Check this machine, the settings, your credentials and the end point
    Doctor(Output),
    /// Open the AWS console in a browser
    Console(Console),
    /// Store or remove the client token in the key ring of the operating system
    Token {
        #[command(subcommand)]
        action: TokenAction,
    },
    /// Remove all cached credentials
    Forget,
    /// Print the completions for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What a request for credentials names.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ask {
    /// The profile of the end point
    pub(crate) profile: String,
    /// How long the session should last, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(900..=129_600))]
    pub(crate) duration: Option<u32>,
    /// The serial number of this device, `auto` to read it, or `none`
    #[arg(long, value_name = "SERIAL")]
    pub(crate) device: Option<String>,
}

/// A request for credentials, and how to treat the cache.
#[derive(Debug, Clone, Args)]
pub(crate) struct Vend {
    #[command(flatten)]
    pub(crate) ask: Ask,
    /// Get new credentials even if cached ones are valid
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
    /// Set credential variables instead, which never refresh, for programs that know nothing else
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
    /// The profiles to write; all that you could get now, if none is named
    pub(crate) profiles: Vec<String>,
    /// Put this before the name of each AWS profile
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub(crate) prefix: String,
    /// The region of the AWS profiles; the end point's, if absent
    #[arg(long, value_name = "REGION")]
    pub(crate) profile_region: Option<String>,
    /// The name under which `--url` becomes an end point of the settings file
    #[arg(long = "as", default_value = "default", value_name = "NAME")]
    pub(crate) name: String,
    /// Do not ask
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

#[derive(Debug, Args)]
pub(crate) struct Console {
    #[command(flatten)]
    pub(crate) vend: Vend,
    /// Print the sign-in URL, which is a secret, instead of opening it
    #[arg(long)]
    pub(crate) print: bool,
    /// The page to open; the console's home page, if absent
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
