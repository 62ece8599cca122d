//! Changes to the stored events.

use super::EVENTS;
use serde_json::{Value, json};

/// An event to send. By default an Identity Center user requests `development` from the Function
/// URL.
#[derive(Clone)]
pub(crate) struct Call(Value);

impl Call {
    pub(crate) fn event(name: &str) -> Self {
        let (_, text) = EVENTS
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("no event {name}"));
        Self(serde_json::from_str(text).unwrap())
    }

    /// A GET of path and query at the Function URL, by an Identity Center user.
    pub(crate) fn get(target: &str) -> Self {
        Self::event("function-url-identity-center").target("GET", target)
    }

    /// A POST to `/v1/credentials` at the Function URL, by an Identity Center user.
    pub(crate) fn post(body: impl Into<Value>) -> Self {
        Self::event("function-url-identity-center")
            .target("POST", "/v1/credentials")
            .set("/body", body)
    }

    /// A GET of `development` by the caller with this ARN.
    pub(crate) fn by(arn: &str) -> Self {
        Self::get("/v1/credentials?profile=development")
            .set("/requestContext/authorizer/iam/userArn", arn)
    }

    /// The same event with another method, path and query, in the way its payload version carries
    /// them.
    pub(crate) fn target(self, method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if self.0.get("version").is_some() {
            let stage =
                self.0["requestContext"]["stage"].as_str().filter(|stage| *stage != "$default");
            let path = stage.map_or(path.to_owned(), |stage| format!("/{stage}{path}"));
            return self
                .set("/rawPath", path)
                .set("/rawQueryString", query)
                .set("/requestContext/http/method", method);
        }
        let mut parameters = json!({});
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let values =
                parameters.as_object_mut().unwrap().entry(name).or_insert_with(|| json!([]));
            values.as_array_mut().unwrap().push(json!(value));
        }
        self.set("/path", path)
            .set("/httpMethod", method)
            .set("/queryStringParameters", Value::Null)
            .set("/multiValueQueryStringParameters", parameters)
    }

    /// The same event with the member at a JSON pointer replaced or added.
    pub(crate) fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = self.0.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        parent.as_object_mut().unwrap().insert(name.to_owned(), value.into());
        self
    }

    /// The same event without the member at a JSON pointer.
    pub(crate) fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = self.0.pointer_mut(parent).unwrap();
        assert!(parent.as_object_mut().unwrap().remove(name).is_some(), "no {pointer}");
        self
    }
}

impl From<Call> for Value {
    fn from(call: Call) -> Self {
        call.0
    }
}
