//! Events as AWS delivers them.

/// The stored events, one of each shape and kind of caller.
pub(crate) const EVENTS: [(&str, &str); 11] = [
    ("function-url-assumed-role", include_str!("../events/function-url-assumed-role.json")),
    ("function-url-federated-user", include_str!("../events/function-url-federated-user.json")),
    ("function-url-identity-center", include_str!("../events/function-url-identity-center.json")),
    ("function-url-root", include_str!("../events/function-url-root.json")),
    ("function-url-user", include_str!("../events/function-url-user.json")),
    ("function-url-user-govcloud", include_str!("../events/function-url-user-govcloud.json")),
    ("http-api-identity-center", include_str!("../events/http-api-identity-center.json")),
    ("rest-api-assumed-role", include_str!("../events/rest-api-assumed-role.json")),
    ("rest-api-assumed-role-china", include_str!("../events/rest-api-assumed-role-china.json")),
    ("rest-api-identity-center", include_str!("../events/rest-api-identity-center.json")),
    ("rest-api-user", include_str!("../events/rest-api-user.json")),
];
