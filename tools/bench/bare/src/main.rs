//! The two AWS calls of a vend, as the SDK's documentation shows them: no policy, no device, no audit line, no error handling.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use lambda_http::request::RequestContext;
use lambda_http::{
    Body, Error, Request, RequestExt, Response, run_concurrent, service_fn, tracing,
};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone)]
struct Clients {
    dynamodb: aws_sdk_dynamodb::Client,
    sts: aws_sdk_sts::Client,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let clients = Clients {
        dynamodb: aws_sdk_dynamodb::Client::new(&config),
        sts: aws_sdk_sts::Client::new(&config),
    };
    run_concurrent(service_fn(move |request| vend(clients.clone(), request))).await
}

async fn vend(clients: Clients, request: Request) -> Result<Response<Body>, Error> {
    let RequestContext::ApiGatewayV2(context) = request.request_context() else {
        return Err("not from a Function URL".into());
    };
    let iam = context.authorizer.and_then(|authorizer| authorizer.iam).ok_or("no caller")?;
    let caller = iam.user_arn.ok_or("no ARN")?;
    count(&clients.dynamodb, &caller).await?;
    let name = caller.rsplit('/').next().unwrap_or_default();
    let issued = clients
        .sts
        .assume_role()
        .role_arn("arn:aws:iam::123456789012:role/vended-development")
        .role_session_name(name)
        .source_identity(format!("sentinel-{name}"))
        .duration_seconds(900)
        .send()
        .await?;
    let credentials = issued.credentials.ok_or("no credentials")?;
    let body = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expiration.to_string(),
    });
    let response = Response::builder().header("Content-Type", "application/json");
    Ok(response.body(Body::from(body.to_string()))?)
}

async fn count(dynamodb: &aws_sdk_dynamodb::Client, caller: &str) -> Result<(), Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let number = |value: u128| AttributeValue::N(value.to_string());
    dynamodb
        .update_item()
        .table_name("limits")
        .key("PK", AttributeValue::S(caller.to_owned()))
        .update_expression("SET TAT = :tat, #ttl = :ttl")
        .condition_expression("attribute_not_exists(PK) OR TAT <= :latest")
        .expression_attribute_names("#ttl", "TTL")
        .expression_attribute_values(":latest", number(now + 60_000_000))
        .expression_attribute_values(":tat", number(now))
        .expression_attribute_values(":ttl", number(now / 1_000_000 + 3_600))
        .return_values(ReturnValue::UpdatedNew)
        .send()
        .await?;
    Ok(())
}
