//! Which quota protects which path.

use crate::grants::Grants;
use crate::rate_limit::Tier;
use crate::request::{Route, RouteError};
use std::collections::BTreeMap;

/// The quota that a request is charged to.
pub(super) fn of(route: Result<Route, RouteError>) -> Tier {
    match route {
        Ok(
            Route::Credentials
            | Route::BreakGlass
            | Route::ApproveAccess
            | Route::DenyAccess
            | Route::WithdrawAccess,
        ) => Tier::Vend,
        // A request for access makes the same dry run as an explanation.
        Ok(Route::Explain | Route::RequestAccess | Route::ListAccess) => Tier::Explain,
        Ok(Route::Health) => Tier::Health,
        Ok(Route::Profiles) | Err(_) => Tier::Read,
    }
}

const PATHS: [(&str, Route); 4] = [
    ("/v1/credentials", Route::Credentials),
    ("/v1/explain", Route::Explain),
    ("/v1/profiles", Route::Profiles),
    ("/v1/health", Route::Health),
];

/// Served with a grants table only.
const ACCESS_PATHS: [(&str, Route); 6] = [
    ("POST /v1/requests", Route::RequestAccess),
    ("GET /v1/requests", Route::ListAccess),
    ("/v1/requests/ID/approve", Route::ApproveAccess),
    ("/v1/requests/ID/deny", Route::DenyAccess),
    ("/v1/requests/ID/withdraw", Route::WithdrawAccess),
    ("/v1/break-glass", Route::BreakGlass),
];

/// The quota of each path, and of all others.
pub(super) fn paths(grants: &Grants) -> BTreeMap<&'static str, Tier> {
    let access: &[_] = if matches!(grants, Grants::Off) { &[] } else { &ACCESS_PATHS };
    let paths = PATHS.iter().chain(access).map(|(path, route)| (*path, of(Ok(*route))));
    paths.chain([("*", of(Err(RouteError::NotFound)))]).collect()
}
