use super::*;
use crate::failure::Exit;

const LAMBDA: &str = "https://abc.lambda-url.eu-central-1.on.aws";

fn with_file(text: &str, shared: &Shared) -> Result<Endpoint, Failure> {
    let file = SettingsFile::parse(text, "config.toml")?;
    let name = shared.endpoint.as_deref().or(file.only()).unwrap_or_default();
    Endpoint::merge(
        Some(name.to_owned()),
        file.endpoints[name].clone(),
        shared,
        &Environment::default(),
    )
}

fn settings_error(text: &str) -> String {
    let failure = SettingsFile::parse(text, "config.toml").map(drop).unwrap_err();
    assert_eq!(failure.exit, Exit::Settings);
    failure.to_string()
}

#[test]
fn the_region_is_the_urls() {
    let environment = Environment::from([("SENTINEL_URL", LAMBDA)]);
    let endpoint = Endpoint::select(&Shared::default(), &environment).unwrap();
    assert_eq!((endpoint.region.as_str(), endpoint.service.as_str()), ("eu-central-1", "lambda"));
}

#[test]
fn an_api_gateway_is_signed_for_execute_api() {
    let url = EndpointUrl::parse("https://abc.execute-api.us-east-1.amazonaws.com/prod/").unwrap();
    assert_eq!((url.region(), url.service()), (Some("us-east-1"), "execute-api"));
    assert_eq!(
        url.at("/v1/health"),
        "https://abc.execute-api.us-east-1.amazonaws.com/prod/v1/health"
    );
}

#[test]
fn a_flag_overrides_a_variable() {
    let environment =
        Environment::from([("SENTINEL_URL", LAMBDA), ("SENTINEL_REGION", "eu-west-1")]);
    let shared = Shared { region: Some("eu-west-2".to_owned()), ..Shared::default() };
    assert_eq!(Endpoint::select(&shared, &environment).unwrap().region, "eu-west-2");
    assert_eq!(Endpoint::select(&Shared::default(), &environment).unwrap().region, "eu-west-1");
}

#[test]
fn unknown_keys_are_errors_and_name_their_line() {
    let text = "[endpoints.a]\nurl = 'https://a'\nregoin = 'eu-west-1'\n";
    assert!(settings_error(text).contains("line 3: unknown field `regoin`"));
    assert!(settings_error("urls = 1").contains("unknown field `urls`"));
    assert!(settings_error("[endpoints.a]\nurl='https://a'\nduration = 60").contains("duration"));
}

#[test]
fn each_setting_is_taken_from_its_end_point() {
    let text = "[endpoints.a]\nurl = 'https://a.example'\nregion = 'eu-west-1'\naws_profile = 'sso'\n\
        cache = 'keyring'\ncaller_proof = 'off'\nduration = 1800\ntimeout = 5\ndevice = 'auto'\n\
        client_token_file = '/run/token'\n";
    let endpoint = with_file(text, &Shared::default()).unwrap();
    assert_eq!(endpoint.aws_profile.as_deref(), Some("sso"));
    assert_eq!((endpoint.cache, endpoint.caller_proof), (CacheKind::KeyRing, CallerProof::Off));
    assert_eq!((endpoint.duration, endpoint.timeout.as_secs()), (Some(1800), 5));
    assert_eq!(endpoint.client_token, ClientTokenSource::File("/run/token".into()));
}

/// THREAT: a request leaves this machine unencrypted, with a client token in it.
/// PREVENTION: https only, but for this machine itself.
#[test]
fn security_only_this_machine_is_called_without_tls() {
    for url in ["http://abc.example", "ftp://abc.example", "abc.example", "https://u:p@abc.example"]
    {
        assert_eq!(EndpointUrl::parse(url).unwrap_err().exit, Exit::Settings, "{url}");
    }
    for url in ["http://127.0.0.1:9010", "http://[::1]:9010/", "http://localhost:1", LAMBDA] {
        EndpointUrl::parse(url).unwrap();
    }
}

/// THREAT: the client token of one end point is sent to a URL from the environment.
/// PREVENTION: a URL from outside the file takes no setting from the file.
#[test]
fn security_a_url_from_the_environment_takes_no_token_from_the_file() {
    let directory = std::env::temp_dir().join(format!("sentinel-settings-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("config.toml");
    std::fs::write(
        &path,
        format!("[endpoints.a]\nurl = '{LAMBDA}'\nclient_token_file = '/run/token'\n"),
    )
    .unwrap();
    let path = path.to_str().unwrap();

    let file_only = Environment::from([("SENTINEL_CONFIG", path)]);
    let both = Environment::from([
        ("SENTINEL_CONFIG", path),
        ("SENTINEL_URL", "https://x.lambda-url.eu-west-1.on.aws"),
    ]);
    let token =
        |environment| Endpoint::select(&Shared::default(), environment).unwrap().client_token;
    assert_eq!(token(&file_only), ClientTokenSource::File("/run/token".into()));
    assert_eq!(token(&both), ClientTokenSource::None);
    std::fs::remove_dir_all(directory).unwrap();
}
