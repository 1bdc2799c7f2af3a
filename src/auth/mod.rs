//! Who asks, and what they may see: bearer tokens, and JWTs that name a user.

mod basic;
mod jwt;
mod tokens;

use std::fmt;
use std::path::Path;

use http::{HeaderMap, header};
use serde::Deserialize;

use crate::config::types::Secret;
use crate::event::{Event, Filter, Timestamp};
use crate::reload::at;
pub use basic::BasicAuth;
use jwt::Jwt;
pub use tokens::BearerTokens;
use tokens::Tokens;

/// `auth` of whatever listens. With several of them, any will do.
///
/// ```yaml
/// auth:
///   token: ${env:SPANLIGHT_TOKEN}
///   jwt: {algorithm: HS256, secret: "${env:JWT_SECRET}", audience: spanlight}
///   authenticator: bearertokenauth
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The extension that knows tokens, as the OpenTelemetry Collector has it.
    pub authenticator: Option<String>,
    /// Whoever has it may see everything.
    pub token: Option<Secret>,
    /// Tokens that say whose they are, and until when.
    pub jwt: Option<jwt::Config>,
}

/// What an endpoint believes.
#[derive(Debug)]
pub struct Auth {
    tokens: Vec<Tokens>,
    jwt: Option<Jwt>,
}

/// Somebody who is believed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Principal {
    /// Whose work they may see, if not everybody's.
    user: Option<String>,
    /// Of which agents, if not of all.
    agents: Vec<String>,
    /// The same of events; `None` is everything.
    limits: Option<Filter>,
    /// When they are believed no more.
    until: Option<Timestamp>,
}

/// Why somebody is not believed, in words that help without telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(String);

impl Config {
    /// Checks all but whether there is such an authenticator.
    ///
    /// # Errors
    /// A secret that is too short, a key that is none, or nothing to ask for.
    pub fn validate(&self) -> Result<(), String> {
        self.own().map(drop)
    }

    /// What is believed, with the extension that is named as authenticator, if one is.
    ///
    /// # Errors
    /// As of [`Config::validate`], or a file of tokens that is no good.
    pub fn load(&self, authenticator: Option<&BearerTokens>) -> Result<Auth, String> {
        let mut auth = self.own()?;
        auth.tokens.extend(authenticator.map(BearerTokens::load).transpose()?);
        Ok(auth)
    }

    /// What is believed without another's help.
    fn own(&self) -> Result<Auth, String> {
        let of_one = |token: &Secret| BearerTokens::of(token.clone()).load();
        let tokens: Vec<Tokens> = self.token.iter().map(of_one).collect::<Result<_, _>>()?;
        let jwt = self.jwt.as_ref().map(Jwt::new).transpose()?;
        if tokens.is_empty() && jwt.is_none() && self.authenticator.is_none() {
            return Err(
                "`auth` has neither `token` nor `jwt` nor `authenticator`; without `auth` nobody is asked".into()
            );
        }
        Ok(Auth { tokens, jwt })
    }
}

impl Auth {
    /// Who has this token.
    ///
    /// # Errors
    /// Nobody who is known, or not any more.
    pub fn principal(&self, token: &str) -> Result<Principal, Denied> {
        match self.know(token) {
            true => Ok(Principal::default()),
            false => self.jwt()?.principal(token),
        }
    }

    /// Whether who has this token may send telemetry, which is not to see any.
    ///
    /// # Errors
    /// Nobody who is known, or not any more.
    pub fn may_send(&self, token: &str) -> Result<bool, Denied> {
        match self.know(token) {
            true => Ok(true),
            false => self.jwt()?.may_send(token),
        }
    }

    /// Reads files of keys and tokens again. Says whether something else is in them.
    ///
    /// # Errors
    /// A file that is no good any more; what was in it stays in force.
    pub fn renew(&self) -> Result<bool, String> {
        let tokens = self.tokens.iter().map(Tokens::renew);
        let jwt = self.jwt.iter().map(Jwt::renew);
        let renewed: Vec<Result<bool, String>> = tokens.chain(jwt).collect();
        renewed.into_iter().try_fold(false, |any, one| Ok(one? || any))
    }

    fn know(&self, token: &str) -> bool {
        self.tokens.iter().any(|tokens| tokens.have(token))
    }

    fn jwt(&self) -> Result<&Jwt, Denied> {
        self.jwt.as_ref().ok_or_else(|| Denied("the token is not one that is known".into()))
    }
}

/// The bearer token of a request, if it has one (RFC 6750).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What is in a file of tokens or names.
fn text<'c>(file: &Path, content: &'c [u8]) -> Result<&'c str, String> {
    std::str::from_utf8(content).map_err(|_| at(file, &"this is no text"))
}

impl Principal {
    /// Who sees only work of this user, if there is one, and of these agents, if there are any.
    fn limited(user: Option<String>, agents: Vec<String>, until: Timestamp) -> Result<Principal, Denied> {
        let of_agents = agents.iter().map(|agent| ("agent", agent.as_str()));
        let pairs: Vec<(&str, &str)> = user.iter().map(|user| ("user", user.as_str())).chain(of_agents).collect();
        let limits = match pairs.is_empty() {
            true => None,
            false => Some(Filter::from_pairs(pairs, until).map_err(|error| Denied(error.to_string()))?),
        };
        Ok(Principal { user, agents, limits, until: Some(until) })
    }

    /// Whether everything may be seen.
    pub fn sees_all(&self) -> bool {
        self.limits.is_none()
    }

    /// Whether an event may be seen.
    pub fn may_see(&self, event: &Event) -> bool {
        self.limits.as_ref().is_none_or(|limits| limits.matches(event))
    }

    /// Whether a run of this user in which these agents worked may be seen: all of it, or nothing of it.
    pub fn may_see_run<'a>(&self, user: Option<&str>, mut agents: impl Iterator<Item = &'a str>) -> bool {
        let is_known = |agent: &str| self.agents.iter().any(|known| known == agent);
        (self.user.is_none() || self.user.as_deref() == user) && (self.agents.is_empty() || agents.all(is_known))
    }

    /// Events that are wanted, as far as they may be seen.
    pub fn limit(&self, wanted: Filter) -> Filter {
        match &self.limits {
            Some(limits) => wanted.within(limits.clone()),
            None => wanted,
        }
    }

    /// When they are believed no more.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_token_that_is_known_may_do_everything() {
        let config = |token: &str| Config { token: Some(Secret(token.into())), ..Config::default() };
        let auth = config("s3cret").load(None).unwrap();
        assert_eq!((auth.principal("s3cret"), auth.may_send("s3cret")), (Ok(Principal::default()), Ok(true)));
        for wrong in ["", "s3cre", "s3cret ", "S3CRET"] {
            assert!(auth.principal(wrong).is_err() && auth.may_send(wrong).is_err(), "{wrong:?}");
        }
        assert!(config("").validate().unwrap_err().contains("variable"));
        assert!(Config::default().validate().unwrap_err().contains("neither"));
        assert_eq!(format!("{:?}", config("s3cret")).find("s3cret"), None);
        let named = Config { authenticator: Some("bearertokenauth".into()), ..Config::default() };
        let auth = named.load(Some(&BearerTokens::of(Secret("other".into())))).unwrap();
        assert!(auth.principal("other").is_ok() && auth.principal("s3cret").is_err());
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!((of("Bearer a"), of("bearer  a ")), (Some("a".into()), Some("a".into())));
        assert_eq!((of("Basic a"), of("Bearer"), of("a")), (None, None, None));
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
