//! A function that does nothing: what the runtime itself costs.

use lambda_http::{Body, Error, Request, Response, run, service_fn, tracing};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    run(service_fn(async |_: Request| Ok::<_, Error>(Response::new(Body::from("{}"))))).await
}
