//! A caller's device: what policies can speak about, and why a device is refused.

use time::UtcDateTime;

/// A device as its management system knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Whether it is under management now.
    pub managed: bool,
    /// Whether it satisfies the management's own rules; false where the management does not know.
    pub compliant: bool,
    /// The e-mail address or user principal name of the assigned person, in lower case.
    pub owner: Option<String>,
    /// When it last checked in.
    pub last_seen: Option<UtcDateTime>,
    /// The version of its operating system.
    pub os_version: Option<String>,
    /// The management system that knows it: `jamf`, `intune` or `kandji`.
    pub provider: &'static str,
}

/// Why a device is refused where one is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRefused {
    /// The request names none.
    #[error("no device_id, and a device is required")]
    Missing,
    /// The management system does not know it.
    #[error("device refused: no such device")]
    Unknown,
    /// The management system knows several with this identifier.
    #[error("device refused: more than one device has this identifier")]
    Ambiguous,
    /// It is not under management.
    #[error("device refused: it is not managed")]
    Unmanaged,
    /// It does not comply.
    #[error("device refused: it is not compliant")]
    NotCompliant,
}
