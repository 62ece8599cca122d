//! `sentinel serve`: the loopback end point alone.

use std::process::ExitCode;
use std::sync::Arc;

use super::Context;
use crate::cli::Serve;
use crate::endpoint;
use crate::failure::Failure;
use crate::server::{Server, Source};
use crate::terminal;
use crate::vend;

pub(crate) fn run(context: Context, arguments: &Serve) -> Result<ExitCode, Failure> {
    let request = vend::Request::new(context.endpoint()?, &arguments.vend, &context.environment)?;
    let (source, _) = Source::open(request, context.environment)?;
    endpoint::run(async {
        let server = Server::bind(arguments.listen).await?;
        // For `eval`: the token is a secret of this user, as the variables of a shell are.
        terminal::print(&format!(
            "export AWS_CONTAINER_CREDENTIALS_FULL_URI={}\nexport AWS_CONTAINER_AUTHORIZATION_TOKEN={}\n",
            server.url(),
            server.token()
        ))?;
        if terminal::shows_progress() {
            terminal::note(&format!("serving {} until Ctrl-C", source.request.wanted.profile));
        }
        tokio::select! {
            never = server.run(Arc::new(source)) => match never {},
            () = stopped() => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Returns when the process is asked to end.
#[cfg(unix)]
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn stopped() {
    let _ = tokio::signal::ctrl_c().await;
}
