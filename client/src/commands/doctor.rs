//! `sentinel doctor`: what is wrong, and its remedy.

use serde::{Deserialize, Serialize};
use std::process::ExitCode;

use super::{Context, json};
use crate::cache::Directory;
use crate::cli::Output;
use crate::clock::{self, Deadline};
use crate::credentials::rfc3339;
use crate::device;
use crate::endpoint::{self, Client, MOST_SKEW, skew};
use crate::failure::{Exit, Failure, quoted};
use crate::http::{Reply, unreachable};
use crate::identity::Identity;
use crate::settings::{CacheKind, Endpoint};
use crate::terminal;

/// One thing that was checked.
#[derive(Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip)]
    exit: Option<Exit>,
}

/// What the end point says of itself.
#[derive(Debug, Default, Deserialize)]
struct Health {
    version: Option<String>,
}

/// Ends with the exit code of the first check that failed.
pub(crate) fn run(context: &Context, output: Output) -> Result<ExitCode, Failure> {
    let checks = checks(context);
    let text = if output.json { json(&checks) } else { checks.iter().map(Check::line).collect() };
    terminal::print(&text)?;
    let failed = checks.iter().find_map(|check| check.exit);
    Ok(failed.map_or(ExitCode::SUCCESS, |exit| ExitCode::from(exit as u8)))
}

fn checks(context: &Context) -> Vec<Check> {
    let endpoint = match context.endpoint() {
        Ok(endpoint) => endpoint,
        Err(failure) => return vec![Check::new("settings", Err(failure))],
    };
    let mut checks = vec![
        Check::new("settings", settings(&endpoint)),
        Check::new("cache", cache(&endpoint, context)),
    ];
    if endpoint.device.as_deref() == Some("auto") {
        let serial = device::serial_number(Some("auto"));
        checks.push(Check::new("device", serial.map(Option::unwrap_or_default)));
    }
    let deadline = Deadline::after(endpoint.timeout);
    let online = endpoint::run(async { Ok(online(&endpoint, context, deadline).await) });
    checks.extend(online.unwrap_or_else(|failure| vec![Check::new("runtime", Err(failure))]));
    checks
}

fn settings(endpoint: &Endpoint) -> Result<String, Failure> {
    match endpoint.url.region() {
        Some(region) if region != endpoint.region => Err(Failure::settings(
            format!("the region is {}, but the URL is in {region}", endpoint.region),
            "remove `region`, SENTINEL_REGION and --region: the URL shows it",
        )),
        _ => Ok(format!("{} in {}", endpoint.url.at(""), endpoint.region)),
    }
}

fn cache(endpoint: &Endpoint, context: &Context) -> Result<String, Failure> {
    if endpoint.cache == CacheKind::Off {
        return Ok("off: every call asks the end point".to_owned());
    }
    let usable = Directory::of(&context.environment).and_then(|directory| {
        directory.create()?;
        directory.probe()?;
        Ok(directory.path().display().to_string())
    });
    usable.map_err(|problem| {
        Failure::local(problem.to_string(), "correct it: without a cache, each process asks")
    })
}

/// The checks that need the network.
async fn online(endpoint: &Endpoint, context: &Context, deadline: Deadline) -> Vec<Check> {
    let client = match Client::connect(endpoint, &context.environment, deadline).await {
        Ok(client) => client,
        Err(failure) => return vec![Check::new("AWS credentials", Err(failure))],
    };
    let expiry =
        client.credentials.expiry().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let expiry = expiry.and_then(|since| i64::try_from(since.as_secs()).ok());
    let until =
        expiry.map_or("found".to_owned(), |at| format!("found, valid until {}", rfc3339(at)));
    let identity = Identity::of(&client).await;
    let mut checks = vec![
        Check::new("AWS credentials", Ok(until)),
        Check::new("who signs", identity.map(|identity| identity.arn)),
    ];
    let replied = client.send("/v1/health").await;
    match replied.and_then(|it| it.map_err(|reason| unreachable(reason, client.host()))) {
        Ok(reply) => {
            checks.push(Check::new("clock", clock_of(&reply)));
            checks.push(Check::new("end point", health(&client, &reply)));
        }
        Err(failure) => checks.push(Check::new("end point", Err(failure))),
    }
    checks
}

fn clock_of(reply: &Reply) -> Result<String, Failure> {
    match skew(reply, clock::unix_now()) {
        None => Ok("not measured: the reply has no date".to_owned()),
        Some(skew) if skew.abs() > MOST_SKEW => Err(Failure::local(
            format!("the clock of this machine is off by {} seconds", skew.abs()),
            "set it: AWS accepts signatures for five minutes only",
        )),
        Some(skew) => Ok(format!("within {} seconds of the end point's", skew.abs().max(1))),
    }
}

fn health(client: &Client<'_>, reply: &Reply) -> Result<String, Failure> {
    if reply.status != 200 {
        return Err(client.failure(reply));
    }
    let health: Health = serde_json::from_slice(&reply.body).unwrap_or_default();
    let version = health.version.ok_or_else(|| client.unusable(reply))?;
    Ok(format!("sentinel-tvm {}", quoted(&version)))
}

impl Check {
    fn new(name: &'static str, result: Result<String, Failure>) -> Self {
        match result {
            Ok(detail) => Self { name, ok: true, detail, next: None, exit: None },
            Err(failure) => Self {
                name,
                ok: false,
                detail: failure.what,
                next: Some(failure.next),
                exit: Some(failure.exit),
            },
        }
    }

    fn line(&self) -> String {
        let state = if self.ok { "ok  " } else { "FAIL" };
        let next = self.next.as_deref().map(|next| format!("\n      next: {next}"));
        format!("{state}  {:<15}  {}{}\n", self.name, self.detail, next.unwrap_or_default())
    }
}
