//! The front of a service: takes its calls, and makes a share of them fail.

use super::{Fault, Service, World, mdm, parameters, secrets, sts};
use crate::Result;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

pub(super) type Reply = Response<Full<Bytes>>;

/// The connection ends without an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

pub(super) async fn start(service: Service, world: Arc<World>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, service, Arc::clone(&world)));
        }
    });
    Ok(address)
}

async fn serve(stream: TcpStream, service: Service, world: Arc<World>) {
    let _ = stream.set_nodelay(true);
    // A connection that the front drops is reset, not closed.
    let _ = stream.set_zero_linger();
    let answer = service_fn(|request| answer(request, service, &world));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    service: Service,
    world: &World,
) -> std::result::Result<Reply, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    match world.pick(service) {
        None => work(service, head, body, world).await,
        Some(Fault::Late(delay)) => {
            let reply = work(service, head, body, world).await;
            tokio::time::sleep(delay).await;
            reply
        }
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Reset) => Err(Broken),
        Some(Fault::LostAnswer) => {
            let _ = work(service, head, body, world).await;
            Err(Broken)
        }
        Some(Fault::Failure) => Ok(failed(service, 500, "InternalServerError")),
        Some(Fault::Throttled) if service == Service::Mdm => Ok(failed(service, 429, "")),
        Some(Fault::Throttled) => Ok(failed(service, 400, "ThrottlingException")),
        Some(Fault::Refused) => Ok(failed(service, 403, "AccessDenied")),
    }
}

async fn work(
    service: Service,
    head: Parts,
    body: Bytes,
    world: &World,
) -> std::result::Result<Reply, Broken> {
    match service {
        Service::Dynamodb => world.table.pass(head, body).await.map_err(|_| Broken),
        Service::Sts => Ok(sts::answer(&world.sts, &body)),
        Service::Secrets => Ok(secrets::answer(&world.secrets, &body)),
        Service::Parameters => Ok(parameters::answer(&world.parameters, &body)),
        Service::Mdm => Ok(mdm::answer(&world.mdm, &world.secrets, &head, &body)),
    }
}

/// A failure in the form of the service. Its message must not reach a log or a reply.
fn failed(service: Service, status: u16, code: &str) -> Reply {
    let message = "CANARY-message-of-a-service";
    match service {
        Service::Sts => xml(
            status,
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            ),
        ),
        _ => json(status, &json!({ "__type": code, "message": message })),
    }
}

pub(super) fn json(status: u16, body: &serde_json::Value) -> Reply {
    reply(status, "application/json", body.to_string())
}

pub(super) fn xml(status: u16, body: String) -> Reply {
    reply(status, "text/xml", body)
}

fn reply(status: u16, content_type: &str, body: String) -> Reply {
    let response = Response::builder().status(status).header("content-type", content_type);
    response.body(Full::new(Bytes::from(body))).unwrap_or_default()
}
