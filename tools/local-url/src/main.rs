//! A Lambda Function URL with `AuthType: AWS_IAM`, on this machine.
//!
//! The `SigV4` signature of each request is verified against the keys of a local file. A request
//! that verifies becomes the payload-2.0 event AWS would send; the function is invoked with it, and
//! its answer becomes the HTTP response. A request that does not verify is a 403 and never reaches
//! the function.
//!
//! Settings, all from the environment:
//!
//! | variable | meaning |
//! |---|---|
//! | `LISTEN` | loopback address and port to serve on, such as `127.0.0.1:9010` |
//! | `KEYS` | JSON file with the keys callers may sign with: see `keys.rs` |
//! | `REGION` | the Region that signatures must be for, such as `us-east-1` |
//! | `FUNCTION_LOG` | the log of `cargo lambda watch`, which says why the function does not start |
//! | `INVOKE_URL` | where the function is invoked: `http://127.0.0.1:9001/2015-03-31/functions/sentinel-tvm/invocations` |

#![expect(clippy::print_stderr, reason = "a program of the terminal: standard error is its log")]

mod event;
mod exchange;
mod function;
mod keys;
mod settings;
mod signature;
mod start;
mod url;

use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::function::Function;
use crate::settings::Settings;
use crate::start::StartLog;
use crate::url::FunctionUrl;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("local-url: {error}");
            return ExitCode::FAILURE;
        }
    };
    match TcpListener::bind(settings.listen).await {
        Ok(listener) => serve(listener, settings).await,
        Err(error) => {
            eprintln!(
                "local-url: cannot listen on {}: {error}; set LISTEN to a free port",
                settings.listen
            );
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process is ended.
async fn serve(listener: TcpListener, settings: Settings) -> ExitCode {
    eprintln!("local-url: listening on http://{}", settings.listen);
    let function = Function::new(settings.invoke_url, StartLog::new(settings.function_log));
    let url = FunctionUrl::new(settings.keys, settings.region, function);
    loop {
        let (mut stream, peer) = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                eprintln!("local-url: cannot accept a connection: {error}");
                continue;
            }
        };
        let url = Arc::clone(&url);
        tokio::spawn(async move {
            if let Err(error) = url.serve(&mut stream, peer.ip()).await {
                eprintln!("local-url: connection of {peer} broke off: {error}");
            }
        });
    }
}
