//! Tokens: no text makes the check panic, and only what is signed with the key, for us, and not too old is believed.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use spanlight::auth::Auth;
use spanlight::config::Config;
use spanlight::event::Timestamp;
use spanlight::pipeline::plan;

const SECRET: &str = "thirty-two bytes are what it takes";
const OTHER: &str = "thirty-two bytes of somebody else's";
const CONFIG: &str = "
extensions: {web: {endpoint: '127.0.0.1:0', auth: {jwt: {algorithm: HS256, audience: us, issuer: them, secret: '${env:SECRET}'}}}}
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
connectors: {agent: {}}
service: {extensions: [web], pipelines: {traces: {receivers: [otlp], exporters: [agent]}}}
";

static AUTH: LazyLock<Auth> = LazyLock::new(|| {
    let (config, problems) = Config::parse(CONFIG, &[], &|name| (name == "SECRET").then(|| SECRET.to_owned()));
    assert!(problems.is_empty(), "{problems:?}");
    let plan = plan(&config.expect("it is one")).expect("it is good");
    plan.auth(plan.web().and_then(|web| web.auth.as_ref()).expect("it asks")).expect("the secret is long enough")
});

#[derive(Arbitrary, Debug)]
enum Attempt {
    Text(String),
    Made(Made),
}

/// A token that is made well but for what is said here.
#[derive(Arbitrary, Debug)]
struct Made {
    algorithm: u8,
    is_ours: bool,
    expires: i32,
    audience: u8,
    issuer: u8,
    user: Option<String>,
    permissions: Option<String>,
    /// A member that may say again what was said, or something else.
    more: Option<(String, String)>,
    /// A byte of the token that is changed, and to what.
    changed: Option<(u16, u8)>,
}

fuzz_target!(|attempt: Attempt| {
    match attempt {
        // Nobody guesses a signature.
        Attempt::Text(text) => assert!(AUTH.principal(&text).is_err() && AUTH.may_send(&text).is_err(), "{text}"),
        Attempt::Made(made) => judge(&made),
    }
});

fn judge(made: &Made) {
    let algorithm = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512][usize::from(made.algorithm % 3)];
    let now = Timestamp::now().as_seconds();
    let mut claims = Map::new();
    if let Some((name, value)) = &made.more {
        claims.insert(name.clone(), value.clone().into());
    }
    claims.remove("nbf");
    claims.insert("exp".into(), json!(now + i64::from(made.expires)));
    claims.insert("aud".into(), json!(["us", "them", ""][usize::from(made.audience % 3)]));
    claims.insert("iss".into(), json!(["them", "us", ""][usize::from(made.issuer % 3)]));
    claims.extend(made.user.iter().map(|user| ("sub".to_owned(), Value::from(user.as_str()))));
    claims.extend(made.permissions.iter().map(|all| ("permissions".to_owned(), Value::from(all.as_str()))));
    let secret = if made.is_ours { SECRET } else { OTHER };
    let token = encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(secret.as_bytes()));
    let mut token = token.expect("it can be signed").into_bytes();
    let was = token.clone();
    if let Some((at, byte)) = made.changed {
        let at = usize::from(at) % token.len();
        token[at] = byte;
    }
    let Ok(token) = String::from_utf8(token) else { return };
    let is_whole = token.as_bytes() == was;
    // A second or two may pass while this runs.
    let (expired, valid) = (made.expires < -10, made.expires > 0);
    let is_meant = algorithm == Algorithm::HS256 && made.is_ours && made.audience % 3 == 0 && made.issuer % 3 == 0;
    let may_send = AUTH.may_send(&token);
    let principal = AUTH.principal(&token);
    if !is_whole || !is_meant || expired {
        assert!(principal.is_err() && may_send.is_err(), "{token} is believed: {made:?}");
        return;
    }
    let has = |permission| {
        claims
            .get("permissions")
            .and_then(Value::as_str)
            .is_some_and(|text| text.split_whitespace().any(|word| word == permission))
    };
    if valid && let Ok(principal) = principal {
        let limited = claims.contains_key("agents");
        assert_eq!(principal.sees_all(), has("all") && !limited, "{made:?}");
    }
}
