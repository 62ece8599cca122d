//! The date of a SigV4 signature: `20260304T103000Z`, in UTC.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide.

use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{PrimitiveDateTime, UtcDateTime};

const FORMAT: StaticFormatDescription =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Reads a date; `None` if it is not one.
pub(crate) fn parse(text: &str) -> Option<UtcDateTime> {
    PrimitiveDateTime::parse(text, FORMAT).ok().map(PrimitiveDateTime::as_utc)
}
