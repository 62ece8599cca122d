//! What is known of a caller's device: what policies can speak about.

use time::UtcDateTime;

/// A device as its management system knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Whether it is under management now.
    pub managed: bool,
    /// Whether it satisfies the management's own rules; false where that is not known.
    pub compliant: bool,
    /// The e-mail address or user principal name of the person it is assigned to, in lower case.
    pub owner: Option<String>,
    /// When it last checked in.
    pub last_seen: Option<UtcDateTime>,
    /// The version of its operating system.
    pub os_version: Option<String>,
    /// Which management system says so: `jamf`, `intune` or `kandji`.
    pub provider: &'static str,
}
