//! The invocations: a stored event of the tests, with the parameters and the caller that a measurement needs.

use crate::Result;
use serde_json::Value;
use std::fs;
use std::path::Path;
use time::UtcDateTime;
use time::macros::format_description;

/// A device that the stub device management knows.
pub(crate) const DEVICE: &str = "C02XK0ABCDEF";
/// Its owner, who is the caller of the stored event.
pub(crate) const DEVICE_OWNER: &str = "alice@example.com";

/// What is asked for, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    stored: Value,
    callers: u64,
}

impl Events {
    /// Requests for a profile that needs the caller's own device.
    pub(crate) fn with_device(root: &Path) -> Result<Self> {
        Self::of(root, &format!("profile=customer-data&device_id={DEVICE}"), 1)
    }

    /// Requests for a profile that needs no device, by each of `callers` in turn.
    pub(crate) fn without_device(root: &Path, profile: &str, callers: u64) -> Result<Self> {
        Self::of(root, &format!("profile={profile}"), callers)
    }

    fn of(root: &Path, query: &str, callers: u64) -> Result<Self> {
        let path = root.join("tests/events/function-url-identity-center.json");
        let mut stored: Value = serde_json::from_slice(&fs::read(path)?)?;
        stored["rawQueryString"] = query.into();
        stored["queryStringParameters"] = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect();
        let signed = UtcDateTime::now()
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))?;
        stored["headers"]["x-amz-date"] = signed.into();
        Ok(Self { stored, callers })
    }

    /// The event of this number.
    pub(crate) fn event(&self, number: u64) -> String {
        let text = self.stored.to_string();
        if self.callers == 1 {
            return text;
        }
        text.replace(DEVICE_OWNER, &format!("user-{}@example.com", number % self.callers))
    }
}
