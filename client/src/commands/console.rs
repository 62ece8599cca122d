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
use std::process::{Command, ExitCode, Stdio};
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
    console: String,
}

pub(crate) fn run(context: &Context, arguments: &Console) -> Result<ExitCode, Failure> {
    let request = vend::Request::new(context.endpoint()?, &arguments.vend, &context.environment)?;
    let region = request.endpoint.region.clone();
    let partition = Partition::of(&region, request.endpoint.signin_url.clone())?;
    let destination = arguments.destination.clone().unwrap_or_else(|| partition.console.clone());
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
        let (host, console) = match region {
            _ if region.starts_with("cn-") => ("signin.amazonaws.cn", "console.amazonaws.cn"),
            _ if region.starts_with("us-gov-") => {
                ("signin.amazonaws-us-gov.com", "console.amazonaws-us-gov.com")
            }
            _ => ("signin.aws.amazon.com", "console.aws.amazon.com"),
        };
        let signin = signin.map_or_else(|| EndpointUrl::parse(&format!("https://{host}")), Ok)?;
        Ok(Self { signin, console: format!("https://{console}/") })
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
    let (program, arguments): (_, &[&str]) = if cfg!(target_os = "macos") {
        ("/usr/bin/open", &[])
    } else if cfg!(windows) {
        (r"C:\Windows\System32\rundll32.exe", &["url.dll,FileProtocolHandler"])
    } else {
        ("/usr/bin/xdg-open", &[])
    };
    hand_over(url, Deadline::after(PATIENCE_WITH_BROWSERS), |address| {
        Command::new(program)
            .args(arguments)
            .arg(address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    })?;
    Ok(ExitCode::SUCCESS)
}
