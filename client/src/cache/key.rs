//! Which cached credentials may be used: only those of the same end point, caller and request.
//!
//! The caller is not known before the AWS credentials are resolved, and that takes long. So the key has a digest of what
//! selects them: the variables that the SDK reads, the contents of the AWS configuration files, and the sign-ins of
//! `aws sso login` if those files mention any. If any of it changes, the next request gets new credentials.
//!
//! (`aws login` needs nothing more: it writes whose session it is into the configuration file.)

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::environment::Environment;
use crate::hex::hex;
use crate::settings::Endpoint;
use crate::wanted::Wanted;

/// Variables that choose whose credentials the SDK finds. Session tokens are not among them: an access key id identifies its
/// session.
const SELECTORS: [&str; 14] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "HOME",
];

/// The name of a cache entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    profile: String,
    digest: String,
}

impl Key {
    /// The key of a request for what is `wanted`.
    pub(crate) fn new(endpoint: &Endpoint, wanted: &Wanted, environment: &Environment) -> Self {
        let mut hash = Sha256::new();
        let mut field = |value: Option<&[u8]>| {
            // The length before the value: no two lists of fields look the same.
            hash.update(value.map_or(u64::MAX, |value| value.len() as u64).to_be_bytes());
            hash.update(value.unwrap_or_default());
        };
        field(Some(endpoint.url.at("").as_bytes()));
        field(Some(wanted.profile.as_bytes()));
        field(wanted.duration.map(u32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
        let claims = &wanted.claims;
        for text in [&wanted.device, &wanted.scope, &claims.reason, &claims.ticket, &claims.agent] {
            field(text.as_deref().map(str::as_bytes));
        }
        field(endpoint.aws_profile.as_deref().map(str::as_bytes));
        for name in SELECTORS {
            field(environment.text(name).map(str::as_bytes));
        }
        let mut single_sign_on = false;
        for file in [environment.aws_config_file(), environment.aws_credentials_file()] {
            let text = file.and_then(|file| std::fs::read(file).ok());
            field(text.as_deref());
            single_sign_on |= text.is_some_and(|text| text.windows(4).any(|word| word == b"sso_"));
        }
        if single_sign_on {
            for (name, text) in sign_ins(environment) {
                field(Some(name.as_encoded_bytes()));
                field(Some(&text));
            }
        }
        Self { profile: wanted.profile.clone(), digest: hex(&hash.finalize()[..16]) }
    }

    /// The name of the entry's file, without its extension.
    pub(crate) fn file_stem(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        format!("{}-{}", self.profile.chars().map(safe).collect::<String>(), self.digest)
    }
}

/// The files that `aws sso login` leaves, by name. Each token is in one of them, and none says whose it is. So all of them count:
/// a sign-in as another person, and a token that was refreshed, too.
fn sign_ins(environment: &Environment) -> BTreeMap<OsString, Vec<u8>> {
    let directory = environment.home().map(|home| home.join(".aws").join("sso").join("cache"));
    let entries = directory.and_then(|directory| std::fs::read_dir(directory).ok());
    let read =
        |entry: std::fs::DirEntry| Some((entry.file_name(), std::fs::read(entry.path()).ok()?));
    entries.into_iter().flatten().flatten().filter_map(read).collect()
}
