//! Bearer tokens that let whoever has them do everything: from the configuration, or from a file that may change.

use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::types::Secret;
use crate::reload::{Reloading, at};

/// The extension `bearertokenauth`. Keys are those of the OpenTelemetry Collector.
///
/// ```yaml
/// extensions:
///   bearertokenauth: {token: "${env:OTLP_TOKEN}"}
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BearerTokens {
    /// The token.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Several of them.
    #[serde(default)]
    pub tokens: Vec<Secret>,
    /// A file with a token in each line, which is looked at again every minute.
    #[serde(default)]
    pub filename: Option<PathBuf>,
    /// What stands before the token; there is nothing but `Bearer`.
    #[serde(default)]
    pub scheme: Scheme,
}

/// What stands before a token.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750.
    #[default]
    Bearer,
}

/// Tokens that are known. Of digests it does not matter how long they take to compare.
#[derive(Debug)]
pub enum Tokens {
    /// From the configuration.
    Given(Vec<[u8; 32]>),
    /// From a file.
    File(Reloading<Vec<[u8; 32]>>),
}

impl BearerTokens {
    /// This token and no other.
    pub fn of(token: Secret) -> BearerTokens {
        BearerTokens { token: Some(token), tokens: Vec::new(), filename: None, scheme: Scheme::Bearer }
    }

    /// The tokens.
    ///
    /// # Errors
    /// None, or an empty one, which everybody has; a file that cannot be read.
    pub fn load(&self) -> Result<Tokens, String> {
        let given: Vec<&Secret> = self.token.iter().chain(&self.tokens).collect();
        match (&self.filename, given.as_slice()) {
            (Some(_), [_, ..]) => Err("`filename` is there instead of `token` and `tokens`, not beside them".into()),
            (Some(path), []) => {
                let file = path.clone();
                let make = move |contents: &[Vec<u8>]| {
                    let text = String::from_utf8(contents.concat()).map_err(|_| at(&file, &"this is no text"))?;
                    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                    let none = || at(&file, &"there is no token in it");
                    if lines.is_empty() { Err(none()) } else { Ok(lines.into_iter().map(digest).collect()) }
                };
                Reloading::new(vec![path.clone()], make).map(Tokens::File)
            }
            (None, []) => Err("`token`, `tokens` or `filename` is needed".into()),
            (None, given) if given.iter().any(|token| token.0.is_empty()) => {
                Err("`token` is empty; is the variable set that it is taken from?".into())
            }
            (None, given) => Ok(Tokens::Given(given.iter().map(|token| digest(&token.0)).collect())),
        }
    }
}

impl Tokens {
    /// Whether this is one of them.
    pub fn have(&self, token: &str) -> bool {
        let asked = digest(token);
        match self {
            Tokens::Given(known) => known.contains(&asked),
            Tokens::File(file) => file.current().contains(&asked),
        }
    }

    /// Reads the file again, if there is one. Says whether something else is in it.
    ///
    /// # Errors
    /// A file that cannot be read, or has no token any more; those that were in it stay.
    pub fn renew(&self) -> Result<bool, String> {
        match self {
            Tokens::Given(_) => Ok(false),
            Tokens::File(file) => file.renew(),
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(token: Option<&str>, tokens: &[&str], filename: Option<PathBuf>) -> Result<Tokens, String> {
        let secret = |text: &&str| Secret((*text).to_owned());
        let (token, tokens) = (token.as_ref().map(secret), tokens.iter().map(secret).collect());
        BearerTokens { token, tokens, filename, scheme: Scheme::Bearer }.load()
    }

    #[test]
    fn a_token_is_one_of_them_or_it_is_not() {
        let known = tokens(Some("one"), &["two"], None).unwrap();
        assert!(known.have("one") && known.have("two") && !known.have("") && !known.have("one "));
        assert!(tokens(None, &[], None).unwrap_err().contains("is needed"));
        assert!(tokens(None, &["a", ""], None).unwrap_err().contains("is empty"));
        assert!(tokens(Some("a"), &[], Some("file".into())).unwrap_err().contains("instead of"));
    }

    #[test]
    fn a_file_of_tokens_may_change_and_never_lets_everybody_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "\n\n").unwrap();
        assert!(tokens(None, &[], Some(file.clone())).unwrap_err().contains("no token"));
        std::fs::write(&file, "one\r\n\n two\n").unwrap();
        let known = tokens(None, &[], Some(file.clone())).unwrap();
        assert!(known.have("one") && known.have("two") && !known.have(""));
        std::fs::write(&file, "three\n").unwrap();
        assert_eq!(known.renew(), Ok(true));
        assert!(known.have("three") && !known.have("one"));
        std::fs::write(&file, "").unwrap();
        assert!(known.renew().is_err() && known.have("three") && !known.have(""));
    }
}
