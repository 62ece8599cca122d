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
            | Route::RequestAccess
            | Route::ApproveAccess
            | Route::DenyAccess
            | Route::WithdrawAccess,
        ) => Tier::Vend,
        Ok(Route::Explain | Route::ListAccess) => Tier::Explain,
        Ok(Route::Health) => Tier::Health,
        Ok(Route::Profiles) | Err(_) => Tier::Read,
    }
}

const PATHS: [(&str, Route); 9] = [
    ("/v1/credentials", Route::Credentials),
    ("/v1/explain", Route::Explain),
    ("/v1/profiles", Route::Profiles),
    ("/v1/health", Route::Health),
    ("POST /v1/requests", Route::RequestAccess),
    ("GET /v1/requests", Route::ListAccess),
    ("/v1/requests/ID/approve", Route::ApproveAccess),
    ("/v1/requests/ID/deny", Route::DenyAccess),
    ("/v1/requests/ID/withdraw", Route::WithdrawAccess),
];

/// The quota of each path, and of all others.
pub(super) fn paths(grants: &Grants) -> BTreeMap<&'static str, Tier> {
    let served = |route: Route| !matches!(grants, Grants::Off) || !route.is_about_access();
    let paths = PATHS.into_iter().filter(|(_, route)| served(*route));
    let others = ("*", of(Err(RouteError::NotFound)));
    paths.map(|(path, route)| (path, of(Ok(route)))).chain([others]).collect()
}
