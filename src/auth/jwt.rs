//! JSON Web Tokens (RFC 7519): signed with the one configured algorithm, for us, and not for ever.

use std::fmt;
use std::path::PathBuf;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use super::{Denied, Principal};
use crate::config::types::Secret;
use crate::event::Timestamp;
use crate::reload::Reloading;

/// How tokens are signed, and what they must say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The only algorithm that is taken, whatever a token says: `HS256`, `RS256`, `ES256`, `EdDSA` and their kin.
    pub algorithm: Algorithm,
    /// The secret of HS algorithms.
    pub secret: Option<Secret>,
    /// The public key of the others, as PEM in a file.
    pub public_key_file: Option<PathBuf>,
    /// Whom tokens must be for (`aud`), if that is to be checked.
    pub audience: Option<String>,
    /// Who must have made them (`iss`), if that is to be checked.
    pub issuer: Option<String>,
}

/// What tokens are checked with.
pub struct Jwt {
    key: Key,
    validation: Validation,
}

/// What signatures are checked with.
enum Key {
    Secret(DecodingKey),
    File(Reloading<DecodingKey>),
}

/// What a token says that matters here.
#[derive(Debug, Deserialize)]
struct Claims {
    exp: Option<f64>,
    /// The user, whose events are seen.
    sub: Option<String>,
    /// `all` lets see those of everybody, `write` send telemetry.
    #[serde(default)]
    permissions: Words,
    /// Only events of these agents, if there are any.
    #[serde(default)]
    agents: Words,
}

/// A list, or a text of words with spaces between them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    List(Vec<String>),
    Text(String),
}

impl Default for Words {
    fn default() -> Words {
        Words::List(Vec::new())
    }
}

impl Words {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let (list, text) = match self {
            Words::List(list) => (list.as_slice(), ""),
            Words::Text(text) => (&[][..], text.as_str()),
        };
        list.iter().map(String::as_str).chain(text.split_whitespace())
    }
}

impl Jwt {
    /// RFC 7518 wants as many bits as the hash has.
    const LEAST_SECRET: usize = 32;
    /// Clocks may differ by so much.
    const LEEWAY_SECONDS: u64 = 5;

    /// What a configuration says.
    pub fn new(config: &Config) -> Result<Jwt, String> {
        let mut validation = Validation::new(config.algorithm);
        validation.leeway = Jwt::LEEWAY_SECONDS;
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        // A token for somebody else must not open this door, unless nobody said for whom they are.
        match &config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &config.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Ok(Jwt { key: key(config)?, validation })
    }

    /// Whose token it is.
    pub fn principal(&self, token: &str) -> Result<Principal, Denied> {
        let claims = self.claims(token)?;
        let Some(exp) = claims.exp else { return Err(Denied("the token has no `exp`".into())) };
        let sees_all = claims.has("all");
        let user = claims.sub.filter(|sub| !sub.is_empty());
        if user.is_none() && !sees_all {
            return Err(Denied("the token names no user (`sub`) and has no permission `all`".into()));
        }
        let until = Timestamp::from_unix_seconds(exp + Jwt::LEEWAY_SECONDS as f64);
        let agents = claims.agents.iter().map(str::to_owned).collect();
        Principal::limited(user.filter(|_| !sees_all), agents, until)
    }

    /// Whether whose token it is may send telemetry: who may read their own could otherwise write that of others.
    pub fn may_send(&self, token: &str) -> Result<bool, Denied> {
        let claims = self.claims(token)?;
        let is_limited = claims.agents.iter().next().is_some();
        Ok(claims.has("write") || (claims.has("all") && !is_limited))
    }

    /// Reads the file of the key again, if there is one. Says whether there is another in it.
    ///
    /// # Errors
    /// A file that is no good any more; the key that was in it stays in force.
    pub fn renew(&self) -> Result<bool, String> {
        match &self.key {
            Key::Secret(_) => Ok(false),
            Key::File(file) => file.renew(),
        }
    }

    fn claims(&self, token: &str) -> Result<Claims, Denied> {
        let decoded = match &self.key {
            Key::Secret(key) => decode::<Claims>(token, key, &self.validation),
            Key::File(file) => decode::<Claims>(token, &file.current(), &self.validation),
        };
        decoded.map(|token| token.claims).map_err(|error| reason(&error))
    }
}

impl Claims {
    fn has(&self, permission: &str) -> bool {
        self.permissions.iter().any(|has| has == permission)
    }
}

fn key(config: &Config) -> Result<Key, String> {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
    if matches!(config.algorithm, HS256 | HS384 | HS512) {
        if config.public_key_file.is_some() {
            return Err(format!("`public_key_file` is not for {:?}, which has a `secret`", config.algorithm));
        }
        let secret = config.secret.as_ref().map_or("", |secret| &secret.0);
        return match secret.len() < Jwt::LEAST_SECRET {
            true => Err(format!("`secret` has {} bytes; it needs {} at least", secret.len(), Jwt::LEAST_SECRET)),
            false => Ok(Key::Secret(DecodingKey::from_secret(secret.as_bytes()))),
        };
    }
    let Some(path) = &config.public_key_file else {
        return Err(format!("{:?} needs a `public_key_file`", config.algorithm));
    };
    if config.secret.is_some() {
        return Err(format!("`secret` is not for {:?}, which has a `public_key_file`", config.algorithm));
    }
    let (file, algorithm) = (path.clone(), config.algorithm);
    let make = move |contents: &[Vec<u8>]| {
        let pem = contents.concat();
        let read = match algorithm {
            RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => DecodingKey::from_rsa_pem(&pem),
            ES256 | ES384 => DecodingKey::from_ec_pem(&pem),
            EdDSA => DecodingKey::from_ed_pem(&pem),
            other => return Err(format!("{other:?} is not known here")),
        };
        read.map_err(|error| format!("{} is no public key for {algorithm:?} as PEM: {error}", file.display()))
    };
    Reloading::new(vec![path.clone()], make).map(Key::File)
}

/// In words for whoever has the token. What is wrong with a signature is nobody's business.
fn reason(error: &Error) -> Denied {
    Denied(match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired".into(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".into(),
        ErrorKind::InvalidAudience => "the token is not for this service (`aud`)".into(),
        ErrorKind::InvalidIssuer => "the token is from somebody else (`iss`)".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token has no `{claim}`"),
        _ => "the token is not valid".into(),
    })
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("validation", &self.validation).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;
    use crate::event::Event;

    const SECRET: &str = "a secret that has thirty-two bytes";

    fn jwt() -> Jwt {
        Jwt::new(&Config {
            algorithm: Algorithm::HS256,
            secret: Some(Secret(SECRET.into())),
            public_key_file: None,
            audience: Some("spanlight".into()),
            issuer: None,
        })
        .unwrap()
    }

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn in_seconds(seconds: i64) -> i64 {
        Timestamp::now().as_seconds() + seconds
    }

    fn event(agent: &str, user: &str) -> Event {
        Event::agent_started(agent).user(user)
    }

    #[test]
    fn a_user_sees_their_own_and_who_may_sees_all() {
        let principal = |claims: Value| {
            let mut claims = claims;
            (claims["exp"], claims["aud"]) = (in_seconds(60).into(), "spanlight".into());
            jwt().principal(&signed(Algorithm::HS256, SECRET, &claims))
        };
        let dana = principal(json!({"sub": "dana"})).unwrap();
        assert!(!dana.sees_all() && dana.may_see(&event("writer", "dana")) && !dana.may_see(&event("writer", "eve")));
        let writers = principal(json!({"sub": "dana", "agents": ["writer"]})).unwrap();
        assert!(writers.may_see(&event("writer", "dana")) && !writers.may_see(&event("critic", "dana")));
        let of_all = principal(json!({"sub": "root", "permissions": "read all", "agents": ["writer"]})).unwrap();
        assert!(of_all.may_see(&event("writer", "eve")) && !of_all.may_see(&event("critic", "eve")));
        assert!(principal(json!({"permissions": ["all"]})).unwrap().sees_all());
        assert!(principal(json!({})).unwrap_err().to_string().contains("`sub`"));
        assert!(principal(json!({"sub": ""})).is_err());
    }

    #[test]
    fn what_is_signed_otherwise_or_for_others_or_too_old_is_not_believed() {
        let good = json!({"exp": in_seconds(60), "aud": "spanlight", "sub": "dana"});
        assert!(jwt().principal(&signed(Algorithm::HS256, SECRET, &good)).is_ok());
        let denied = |token: &str| jwt().principal(token).unwrap_err().to_string();
        assert_eq!(denied(&signed(Algorithm::HS512, SECRET, &good)), "the token is not valid");
        assert_eq!(denied(&signed(Algorithm::HS256, "another", &good)), "the token is not valid");
        let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJkYW5hIn0.";
        for token in ["", "a.b.c", unsigned] {
            assert_eq!(denied(token), "the token is not valid", "{token:?}");
        }
        for (key, value, said) in [
            ("exp", json!(in_seconds(-60)), "the token has expired"),
            ("exp", Value::Null, "the token has no `exp`"),
            ("aud", json!("another"), "the token is not for this service (`aud`)"),
            ("aud", Value::Null, "the token has no `aud`"),
            ("nbf", json!(in_seconds(60)), "the token is not valid yet"),
        ] {
            let mut claims = good.clone();
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(key)),
                value => claims[key] = value,
            }
            assert_eq!(denied(&signed(Algorithm::HS256, SECRET, &claims)), said, "{key}");
        }
    }

    #[test]
    fn a_configuration_that_cannot_work_says_why() {
        let refused = |algorithm, secret: Option<&str>, file: Option<&str>| {
            let config = Config {
                algorithm,
                secret: secret.map(|secret| Secret(secret.into())),
                public_key_file: file.map(PathBuf::from),
                audience: None,
                issuer: None,
            };
            Jwt::new(&config).unwrap_err()
        };
        assert!(refused(Algorithm::HS256, Some("short"), None).contains("5 bytes"));
        assert!(refused(Algorithm::HS256, None, None).contains("32 at least"));
        assert!(refused(Algorithm::HS256, Some(SECRET), Some("key.pem")).contains("not for HS256"));
        assert!(refused(Algorithm::ES256, None, None).contains("`public_key_file`"));
        assert!(refused(Algorithm::ES256, None, Some("/nowhere.pem")).contains("/nowhere.pem: "));
        assert!(refused(Algorithm::EdDSA, Some(SECRET), Some("Cargo.toml")).contains("not for EdDSA"));
        assert!(refused(Algorithm::EdDSA, None, Some("Cargo.toml")).contains("no public key"));
    }
    /// A private key of `openssl`, and its public half in a file.
    struct Pair {
        folder: tempfile::TempDir,
    }

    impl Pair {
        fn new(options: &str) -> Pair {
            let pair = Pair { folder: tempfile::tempdir().unwrap() };
            pair.replace(options);
            pair
        }

        fn replace(&self, options: &str) {
            for arguments in
                [format!("genpkey {options} -out key.pem"), "pkey -in key.pem -pubout -out public.pem".to_owned()]
            {
                let mut command = std::process::Command::new("openssl");
                let output = command.current_dir(&self.folder).args(arguments.split(' ')).output().unwrap();
                assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }

        fn file(&self, name: &str) -> Vec<u8> {
            std::fs::read(self.folder.path().join(name)).unwrap()
        }

        fn jwt(&self, algorithm: Algorithm) -> Jwt {
            Jwt::new(&Config {
                algorithm,
                secret: None,
                public_key_file: Some(self.folder.path().join("public.pem")),
                audience: Some("spanlight".into()),
                issuer: Some("them".into()),
            })
            .unwrap()
        }

        fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
            let pem = self.file("key.pem");
            let key = match algorithm {
                Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(&pem),
                Algorithm::EdDSA => EncodingKey::from_ed_pem(&pem),
                _ => EncodingKey::from_rsa_pem(&pem),
            };
            encode(&Header::new(algorithm), claims, &key.unwrap()).unwrap()
        }
    }

    /// A token whose header says what its signature is not.
    fn forged(header: &str, claims: &Value, secret: &[u8]) -> String {
        let of_secret = encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap();
        let (_, rest) = of_secret.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    }

    const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    const EC: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
    const ED: &str = "-algorithm ed25519";

    #[test]
    fn each_algorithm_is_believed_with_its_own_key_and_nothing_else_is() {
        let claims = json!({"exp": in_seconds(60), "aud": "spanlight", "iss": "them", "sub": "dana"});
        for (algorithm, kin, options) in [
            (Algorithm::RS256, Algorithm::RS512, RSA),
            (Algorithm::PS256, Algorithm::RS256, RSA),
            (Algorithm::ES256, Algorithm::ES256, EC),
            (Algorithm::EdDSA, Algorithm::EdDSA, ED),
        ] {
            let (pair, other) = (Pair::new(options), Pair::new(options));
            let jwt = pair.jwt(algorithm);
            let believed = |token: &str| jwt.principal(token).is_ok();
            let good = pair.sign(algorithm, &claims);
            assert!(believed(&good), "{algorithm:?}: {:?}", jwt.principal(&good));
            assert!(!believed(&other.sign(algorithm, &claims)), "{algorithm:?} of another key");
            if kin != algorithm {
                assert!(!believed(&pair.sign(kin, &claims)), "{kin:?} instead of {algorithm:?}");
            }
            // The public key is no secret, so nothing may be believed that is signed with it as if it were one.
            let public = pair.file("public.pem");
            let with_public = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&public));
            assert!(!believed(&with_public.unwrap()), "HS256 with the public key of {algorithm:?}");
            for header in ["HS256", "none", "None", "NONE", "nOnE", "", "HS512"] {
                let header = format!(r#"{{"typ":"JWT","alg":"{header}"}}"#);
                assert!(!believed(&forged(&header, &claims, &public)), "{header}");
                let unsigned = forged(&header, &claims, &public);
                let (head, _) = unsigned.rsplit_once('.').unwrap();
                assert!(!believed(&format!("{head}.")) && !believed(head), "{header} without a signature");
            }
            // A key that comes along with the token is nobody's that is known.
            let own = forged(
                &format!(r#"{{"alg":"{algorithm:?}","jwk":{{"kty":"oct","k":"AA"}},"jku":"http://x"}}"#),
                &claims,
                b"",
            );
            assert!(!believed(&own));
            for (at, _) in good.match_indices('.') {
                let mut changed = good.clone().into_bytes();
                changed[at + 1] ^= 1;
                assert!(!believed(&String::from_utf8_lossy(&changed)), "{algorithm:?} changed at {at}");
            }
            for (name, value) in [
                ("exp", Value::Null),
                ("exp", in_seconds(-60).into()),
                ("exp", "tomorrow".into()),
                ("nbf", in_seconds(60).into()),
                ("aud", "another".into()),
                ("aud", Value::Null),
                ("iss", "another".into()),
                ("iss", Value::Null),
                ("sub", Value::Null),
            ] {
                let mut claims = claims.clone();
                match value {
                    Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                    ref value => claims[name] = value.clone(),
                }
                assert!(!believed(&pair.sign(algorithm, &claims)), "{algorithm:?} with {name} {value}");
            }
        }
    }

    #[test]
    fn a_key_that_is_replaced_is_in_force_and_what_it_signed_before_is_not() {
        let claims = json!({"exp": in_seconds(60), "aud": "spanlight", "iss": "them", "sub": "dana"});
        let pair = Pair::new(EC);
        let jwt = pair.jwt(Algorithm::ES256);
        let old = pair.sign(Algorithm::ES256, &claims);
        pair.replace(EC);
        assert!(jwt.principal(&old).is_ok(), "nobody has looked yet");
        assert_eq!(jwt.renew(), Ok(true));
        assert!(jwt.principal(&old).is_err() && jwt.principal(&pair.sign(Algorithm::ES256, &claims)).is_ok());
        std::fs::write(pair.folder.path().join("public.pem"), "no key").unwrap();
        assert!(jwt.renew().is_err() && jwt.principal(&pair.sign(Algorithm::ES256, &claims)).is_ok());
    }

    #[test]
    fn sending_takes_a_permission_of_its_own() {
        let may = |claims: Value| {
            let mut claims = claims;
            (claims["exp"], claims["aud"]) = (in_seconds(60).into(), "spanlight".into());
            jwt().may_send(&signed(Algorithm::HS256, SECRET, &claims))
        };
        assert_eq!(may(json!({"sub": "dana"})), Ok(false));
        assert_eq!(may(json!({"sub": "dana", "permissions": ["read"]})), Ok(false));
        assert_eq!(may(json!({"permissions": "all", "agents": "writer"})), Ok(false));
        for claims in [
            json!({"permissions": "write"}),
            json!({"permissions": ["all"]}),
            json!({"permissions": "write", "agents": "a"}),
        ] {
            assert_eq!(may(claims), Ok(true));
        }
        assert!(jwt().may_send("a.b.c").is_err());
    }
}
