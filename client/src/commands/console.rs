//! `sentinel console`: the AWS console, signed in as the vended session.
//!
//! AWS exchanges the session for a sign-in token that is valid for 15 minutes (AWS IAM User Guide, "Enable custom identity
//! broker access to the AWS console"). The console session ends with the credentials.
//!
//! Invariant: the sign-in URL is a secret. It is printed only with `--print`, and never in a command line.

mod handover;

use aws_smithy_types::body::SdkBody;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use std::io::{self, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use super::Context;
use crate::cli::Console;
use crate::clock::Deadline;
use crate::credentials::Credentials;
use crate::endpoint;
use crate::failure::{Exit, Failure};
use crate::http::{Http, unreachable};
use crate::settings::EndpointUrl;
use crate::terminal;
use crate::vend;
use handover::hand_over;

/// How long a browser may take to start.
const PATIENCE_WITH_BROWSERS: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
struct SigninToken {
    #[serde(rename = "SigninToken")]
    token: String,
}

/// Where a partition's sign-in and console are.
struct Partition {
    signin: EndpointUrl,
    /// Absent for an unknown partition, whose sign-in was set.
    console: Option<String>,
}

pub(crate) fn run(context: &Context, arguments: &Console) -> Result<ExitCode, Failure> {
    let request = vend::Request::new(context.endpoint()?, &arguments.vend, &context.environment)?;
    let region = request.endpoint.region.clone();
    let partition = Partition::of(&region, request.endpoint.signin_url.clone())?;
    let Some(destination) = arguments.destination.clone().or_else(|| partition.console.clone())
    else {
        return Err(Failure::new(
            Exit::Usage,
            format!("the console of the Region {region} is not known"),
            "give --destination",
        ));
    };
    if !destination.starts_with("https://") {
        return Err(Failure::new(
            Exit::Usage,
            "the destination does not begin with https://",
            "correct --destination",
        ));
    }
    let cache = vend::open_cache(&request, &context.environment);
    let credentials = vend::credentials(&request, &cache, &context.environment)?;
    let deadline = Deadline::after(request.endpoint.timeout);
    let token = endpoint::run(async {
        let http = Http::new(&context.environment)?;
        terminal::waiting(
            "the sign-in service",
            exchange(&http, &partition.signin, &credentials, deadline),
        )
        .await
    })?;
    let url = partition.signin.at(&format!(
        "/federation?{}",
        form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "login")
            .append_pair("Issuer", &request.endpoint.url.at(""))
            .append_pair("Destination", &destination)
            .append_pair("SigninToken", &token)
            .finish()
    ));
    if arguments.print {
        terminal::print_line(&url)?;
        return Ok(ExitCode::SUCCESS);
    }
    open(&url)
}

impl Partition {
    fn of(region: &str, signin: Option<EndpointUrl>) -> Result<Self, Failure> {
        let known = hosts(region);
        let signin = match (signin, known) {
            (Some(signin), _) => signin,
            (None, Some((host, _))) => EndpointUrl::parse(&format!("https://{host}"))?,
            (None, None) => {
                return Err(Failure::settings(
                    format!("the sign-in service of the Region {region} is not known"),
                    "set signin_url to that of its partition",
                ));
            }
        };
        Ok(Self { signin, console: known.map(|(_, console)| format!("https://{console}/")) })
    }
}

/// The hosts of sign-in and console of a Region's partition, if it is a known one. A session must not go to another partition.
fn hosts(region: &str) -> Option<(&'static str, &'static str)> {
    const COMMERCIAL: [&str; 9] = ["af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us"];
    let (area, number) = region.rsplit_once('-')?;
    let (area, direction) = area.rsplit_once('-')?;
    let form = !direction.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    match area {
        _ if !form => None,
        "cn" => Some(("signin.amazonaws.cn", "console.amazonaws.cn")),
        "us-gov" => Some(("signin.amazonaws-us-gov.com", "console.amazonaws-us-gov.com")),
        _ if COMMERCIAL.contains(&area) => {
            Some(("signin.aws.amazon.com", "console.aws.amazon.com"))
        }
        _ => None,
    }
}

/// Exchanges the session for a sign-in token.
async fn exchange(
    http: &Http,
    signin: &EndpointUrl,
    credentials: &Credentials,
    deadline: Deadline,
) -> Result<String, Failure> {
    let session = json!({
        "sessionId": credentials.access_key_id,
        "sessionKey": credentials.secret_access_key.expose_secret(),
        "sessionToken": credentials.session_token.expose_secret(),
    });
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "getSigninToken")
        .append_pair("Session", &session.to_string())
        .finish();
    let refused = |why: String| {
        Failure::unavailable(
            format!("the sign-in service {} {why}", signin.authority()),
            "try again with --refresh; in other partitions, set signin_url",
        )
    };
    let request = http::Request::get(signin.at(&format!("/federation?{query}")))
        .header(http::header::HOST, signin.authority())
        .body(SdkBody::empty())
        .map_err(|_| refused("has no usable URL".to_owned()))?;
    let reply = http
        .send(request, deadline)
        .await
        .map_err(|reason| unreachable(reason, signin.authority()))?;
    if reply.status != 200 {
        return Err(refused(format!("refused the session (HTTP {})", reply.status)));
    }
    let token: SigninToken = serde_json::from_slice(&reply.body)
        .map_err(|_| refused("sent no sign-in token".to_owned()))?;
    Ok(token.token)
}

/// Opens the URL with the program of the operating system, by an absolute path and without a shell.
fn open(url: &str) -> Result<ExitCode, Failure> {
    hand_over(url, Deadline::after(PATIENCE_WITH_BROWSERS), |address| {
        if cfg!(target_os = "macos") {
            return tell_macos(address);
        }
        let (program, arguments): (_, &[&str]) = if cfg!(windows) {
            (r"C:\Windows\System32\rundll32.exe", &["url.dll,FileProtocolHandler"])
        } else {
            ("/usr/bin/xdg-open", &[])
        };
        quiet(program).args(arguments).arg(address).stdin(Stdio::null()).spawn()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Starts the browser of macOS. Other users can read command lines there, so the address goes through standard input.
fn tell_macos(address: &str) -> io::Result<Child> {
    let mut script = quiet("/usr/bin/osascript").stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = script.stdin.take() {
        // No character of an address ends a text of AppleScript: http://127.0.0.1, a port, and hexadecimal digits.
        writeln!(input, "open location \"{address}\"")?;
    }
    Ok(script)
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// THREAT: a session of a partition that this program does not know goes to the sign-in service of another one.
    /// PREVENTION: known partitions by the forms of their Regions (botocore's `partitions.json`); otherwise a setting.
    #[test]
    fn security_a_session_stays_in_its_partition() {
        let host =
            |region: &str| Partition::of(region, None).map(|it| it.signin.authority().to_owned());
        for (region, signin) in [
            ("eu-central-1", "signin.aws.amazon.com"),
            ("us-east-1", "signin.aws.amazon.com"),
            ("ap-southeast-2", "signin.aws.amazon.com"),
            ("us-gov-west-1", "signin.amazonaws-us-gov.com"),
            ("cn-north-1", "signin.amazonaws.cn"),
        ] {
            assert_eq!(host(region), Ok(signin.to_owned()), "{region}");
        }
        for region in [
            "us-iso-east-1",
            "us-isob-east-1",
            "us-isof-south-1",
            "eu-isoe-west-1",
            "eusc-de-east-1",
            "local",
            "us-east",
            "",
        ] {
            let failure = host(region).unwrap_err();
            assert!(
                failure.exit == Exit::Settings && failure.next.contains("signin_url"),
                "{region}"
            );
            let own = EndpointUrl::parse("https://signin.example").unwrap();
            let partition = Partition::of(region, Some(own)).unwrap();
            assert_eq!((partition.signin.authority(), partition.console), ("signin.example", None));
        }
    }
}
