//! Who asks, and what they may see: bearer tokens, and JWTs that name a user.

mod jwt;

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::types::Secret;
use crate::event::{Event, Filter, Timestamp};
use jwt::Jwt;

/// `auth` of an endpoint. With both, either will do.
///
/// ```yaml
/// auth:
///   token: ${env:SPANLIGHT_TOKEN}
///   jwt: {algorithm: HS256, secret: "${env:JWT_SECRET}", audience: spanlight}
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whoever has it may see everything.
    pub token: Option<Secret>,
    /// Tokens that say whose they are, and until when.
    pub jwt: Option<jwt::Config>,
}

/// What an endpoint believes.
#[derive(Debug)]
pub struct Auth {
    /// Of digests it does not matter how long they take to compare.
    token: Option<[u8; 32]>,
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

impl Auth {
    /// What a configuration says.
    ///
    /// # Errors
    /// A secret that is too short, a key that is none, or neither a token nor keys.
    pub fn new(config: &Config) -> Result<Auth, String> {
        let token = match &config.token {
            Some(Secret(token)) if token.is_empty() => {
                return Err("`token` is empty; is the variable set that it is taken from?".into());
            }
            Some(Secret(token)) => Some(Sha256::digest(token).into()),
            None => None,
        };
        let jwt = config.jwt.as_ref().map(Jwt::new).transpose()?;
        if token.is_none() && jwt.is_none() {
            return Err("`auth` has neither `token` nor `jwt`; without `auth` everybody may read".into());
        }
        Ok(Auth { token, jwt })
    }

    /// Who has this token.
    ///
    /// # Errors
    /// Nobody who is known, or not any more.
    pub fn principal(&self, token: &str) -> Result<Principal, Denied> {
        if self.token.is_some_and(|known| <[u8; 32]>::from(Sha256::digest(token)) == known) {
            return Ok(Principal::default());
        }
        match &self.jwt {
            Some(jwt) => jwt.principal(token),
            None => Err(Denied("the token is not the one that is configured".into())),
        }
    }
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
    fn a_token_is_the_one_or_it_is_not() {
        let config = |token: &str| Config { token: Some(Secret(token.into())), jwt: None };
        let auth = Auth::new(&config("s3cret")).unwrap();
        assert_eq!(auth.principal("s3cret"), Ok(Principal::default()));
        for wrong in ["", "s3cre", "s3cret ", "S3CRET"] {
            assert!(auth.principal(wrong).is_err(), "{wrong:?}");
        }
        assert!(Auth::new(&config("")).unwrap_err().contains("variable"));
        assert!(Auth::new(&Config::default()).unwrap_err().contains("neither"));
        assert_eq!(format!("{:?}", config("s3cret")).find("s3cret"), None);
    }
}
