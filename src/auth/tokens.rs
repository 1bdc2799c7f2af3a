//! Bearer tokens that let whoever has them do everything: from the configuration, or from a file that may change.

use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::text;
use crate::config::types::Secret;
use crate::reload::{Reloading, at};

/// The extension `bearertokenauth`. Keys are those of the OpenTelemetry Collector. Ports let in who has one of the tokens;
/// exporters say the first.
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
    /// What stands before the token. Ports know nothing but `Bearer` (RFC 6750).
    #[serde(default = "bearer")]
    pub scheme: String,
    /// The header that it stands in. Ports look nowhere but into `Authorization`.
    #[serde(default = "authorization")]
    pub header: String,
}

/// Tokens that are known. Of digests it does not matter how long they take to compare.
#[derive(Debug)]
pub struct Tokens(Reloading<Vec<[u8; 32]>>);

fn bearer() -> String {
    "Bearer".into()
}

fn authorization() -> String {
    "Authorization".into()
}

impl BearerTokens {
    /// This token and no other.
    pub fn of(token: Secret) -> BearerTokens {
        let (scheme, header) = (bearer(), authorization());
        BearerTokens { token: Some(token), tokens: Vec::new(), filename: None, scheme, header }
    }

    /// The tokens that ports believe.
    ///
    /// # Errors
    /// None, or an empty one, which everybody has; a file that cannot be read.
    pub fn load(&self) -> Result<Tokens, String> {
        let config = self.clone();
        let make = move |contents: &[Vec<u8>]| Ok(config.read(contents)?.iter().map(|token| digest(token)).collect());
        Reloading::new(self.files(), make).map(Tokens)
    }

    /// Whether ports look for it where clients of it put it.
    pub fn is_for_ports(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("bearer") && self.header.eq_ignore_ascii_case("authorization")
    }

    /// The file that they are in, if they are in one and nowhere else.
    pub fn files(&self) -> Vec<PathBuf> {
        let are_said = self.token.is_some() || !self.tokens.is_empty();
        self.filename.iter().filter(|_| !are_said).cloned().collect()
    }

    /// What exporters say, with these contents of the file.
    ///
    /// # Errors
    /// As of [`BearerTokens::load`].
    pub fn value(&self, contents: &[Vec<u8>]) -> Result<String, String> {
        let first = self.read(contents)?.into_iter().next().unwrap_or_default();
        Ok(if self.scheme.is_empty() { first } else { format!("{} {first}", self.scheme) })
    }

    /// The tokens, of which there is one at least, with these contents of the file.
    fn read(&self, contents: &[Vec<u8>]) -> Result<Vec<String>, String> {
        let given: Vec<&Secret> = self.token.iter().chain(&self.tokens).collect();
        match (&self.filename, given.as_slice()) {
            (Some(_), [_, ..]) => Err("`filename` is there instead of `token` and `tokens`, not beside them".into()),
            (Some(file), []) => {
                let content = contents.concat();
                let lines = text(file, &content)?.lines().map(str::trim).filter(|line| !line.is_empty());
                let lines: Vec<String> = lines.map(str::to_owned).collect();
                if lines.is_empty() { Err(at(file, &"there is no token in it")) } else { Ok(lines) }
            }
            (None, []) => Err("`token`, `tokens` or `filename` is needed".into()),
            (None, given) if given.iter().any(|token| token.0.is_empty()) => {
                Err("`token` is empty; is the variable set that it is taken from?".into())
            }
            (None, given) => Ok(given.iter().map(|token| token.0.clone()).collect()),
        }
    }
}

impl Tokens {
    /// Whether this is one of them.
    pub fn have(&self, token: &str) -> bool {
        self.0.current().contains(&digest(token))
    }

    /// Reads the file again, if there is one. Says whether something else is in it.
    ///
    /// # Errors
    /// A file that cannot be read, or has no token any more; those that were in it stay.
    pub fn renew(&self) -> Result<bool, String> {
        self.0.renew()
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
        BearerTokens { token, tokens, filename, scheme: bearer(), header: authorization() }.load()
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

    #[test]
    fn exporters_say_the_first_behind_its_scheme() {
        let value =
            |json: &str, contents: &[Vec<u8>]| serde_json::from_str::<BearerTokens>(json).unwrap().value(contents);
        assert_eq!(value(r#"{"token": "a"}"#, &[]), Ok("Bearer a".into()));
        assert_eq!(value(r#"{"tokens": ["a", "b"], "scheme": "Api-Key"}"#, &[]), Ok("Api-Key a".into()));
        assert_eq!(value(r#"{"filename": "f", "scheme": ""}"#, &[b"\n a \nb\n".to_vec()]), Ok("a".into()));
        assert!(value(r#"{"filename": "f"}"#, &[b"\n".to_vec()]).unwrap_err().contains("no token"));
        let is_for_ports = |json: &str| serde_json::from_str::<BearerTokens>(json).unwrap().is_for_ports();
        assert!(
            is_for_ports(r#"{"token": "a"}"#) && is_for_ports(r#"{"scheme": "bearer", "header": "authorization"}"#)
        );
        assert!(!is_for_ports(r#"{"scheme": "Api-Key"}"#) && !is_for_ports(r#"{"header": "x-api-key"}"#));
    }
}
