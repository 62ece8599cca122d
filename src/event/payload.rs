//! The bytes of an invocation, JSON or not.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// The payload of an invocation. Every payload deserializes: one that is not JSON in UTF-8 has an
/// empty text.
///
/// `lambda_runtime` deserializes the payload before it calls the handler, and answers a failure
/// itself, without an audit line. A type that never fails keeps that answer in this program's
/// hands.
pub struct Payload(Option<Box<RawValue>>);

impl fmt::Debug for Payload {
    /// Without the contents: headers hold signatures and tokens.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Payload(..)")
    }
}

impl Payload {
    /// The JSON text; empty if the payload is not JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_ref().map_or("", |json| json.get())
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer).ok()))
    }
}
