//! The signature's place and date. AWS has verified the signature itself.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide. A signature in the query
//! (`X-Amz-Signature`) is valid for up to seven days, one in the headers for a few minutes around
//! `x-amz-date`.

use super::Unauthenticated;
use crate::amz_date;
use crate::event::Event;
use time::UtcDateTime;

/// The greatest age of a signature, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxRequestAge(pub u32);

impl MaxRequestAge {
    /// Refuses a pre-signed request, and one whose date is further from `now` than this.
    ///
    /// A date in the future counts like one in the past: the clocks of clients differ in both
    /// directions. An event without a date passes; AWS has checked what the signature used instead.
    pub fn check(self, event: &Event<'_>, now: UtcDateTime) -> Result<(), Unauthenticated> {
        if event.is_presigned() {
            return Err(Unauthenticated::Presigned);
        }
        if !event.has_header("x-amz-date") {
            return Ok(());
        }
        let date = event.header("x-amz-date").and_then(|date| amz_date::parse(&date));
        let date = date.ok_or(Unauthenticated::UnknownDate)?;
        if (now - date).abs().whole_seconds() > i64::from(self.0) {
            return Err(Unauthenticated::TooOld(self.0));
        }
        Ok(())
    }
}
