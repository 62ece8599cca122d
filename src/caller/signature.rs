//! The signature's place and date. AWS has verified the signature itself.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide. A signature in the query
//! (`X-Amz-Signature`) is valid for up to seven days; one in the headers for a few minutes around
//! `x-amz-date`, which is in UTC: `20260304T103000Z`.

use super::Unauthenticated;
use crate::event::Event;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{PrimitiveDateTime, UtcDateTime};

const AMZ_DATE: StaticFormatDescription =
    format_description!("[year][month][day]T[hour][minute][second]Z");

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
        let date = event.header("x-amz-date").ok_or(Unauthenticated::UnknownDate)?;
        let date = PrimitiveDateTime::parse(&date, AMZ_DATE);
        let date = date.map_err(|_| Unauthenticated::UnknownDate)?.as_utc();
        if (now - date).abs().whole_seconds() > i64::from(self.0) {
            return Err(Unauthenticated::TooOld(self.0));
        }
        Ok(())
    }
}
