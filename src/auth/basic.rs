//! A name and its password, for exporters (RFC 7617).

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::text;
use crate::config::types::Secret;
use crate::reload::at;

/// The extension `basicauth`. Keys are those of the OpenTelemetry Collector.
///
/// ```yaml
/// extensions:
///   basicauth: {client_auth: {username: spanlight, password: "${env:PASSWORD}"}}
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// Who we are where we send to.
    #[serde(default)]
    client_auth: Option<ClientAuth>,
    /// Whom ports believe, for the Collector.
    #[serde(default)]
    htpasswd: Option<IgnoredAny>,
}

/// A name and its password, each said or in a file that may change.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ClientAuth {
    username: String,
    password: Secret,
    username_file: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

impl BasicAuth {
    /// The files that it is in.
    pub fn files(&self) -> Vec<PathBuf> {
        let of = |auth: &ClientAuth| auth.username_file.iter().chain(&auth.password_file).cloned().collect();
        self.client_auth.as_ref().map(of).unwrap_or_default()
    }

    /// The value of `Authorization`, with these contents of the files.
    ///
    /// # Errors
    /// What is missing, or cannot be said in this way.
    pub fn value(&self, contents: &[Vec<u8>]) -> Result<String, String> {
        let auth = match (&self.client_auth, &self.htpasswd) {
            (_, Some(_)) => return Err(ONLY_CLIENTS.into()),
            (None, None) => return Err("`client_auth` is needed, with `username` and `password`".into()),
            (Some(auth), None) => auth,
        };
        let mut contents = contents.iter();
        let mut one = |said: &str, file: &Option<PathBuf>, key: &str| match file {
            Some(_) if !said.is_empty() => Err(format!("`{key}_file` is there instead of `{key}`, not beside it")),
            Some(file) => Ok(text(file, contents.next().map_or(&[], Vec::as_slice))?.trim().to_owned()),
            None => Ok(said.to_owned()),
        };
        let username = one(&auth.username, &auth.username_file, "username")?;
        let password = one(&auth.password.0, &auth.password_file, "password")?;
        if username.is_empty() || password.is_empty() {
            let file = auth.username_file.iter().chain(&auth.password_file).next();
            let wrong =
                "`client_auth` needs a `username` and a `password`; is the variable or file set that they are from?";
            return Err(file.map_or(wrong.into(), |file| at(file, &wrong)));
        }
        if username.contains(':') {
            return Err("`username` has a colon, which ends it".into());
        }
        Ok(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
    }
}

const ONLY_CLIENTS: &str = "`htpasswd` is not known here: `basicauth` is for exporters; ports ask for `auth.token`, `auth.jwt` \
     or `bearertokenauth`";

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str, contents: &[&str]) -> Result<String, String> {
        let config: BasicAuth = serde_json::from_str(json).unwrap();
        config.value(&contents.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_and_its_password_are_said_as_rfc_7617_has_it() {
        let said = value(r#"{"client_auth": {"username": "Aladdin", "password": "open sesame"}}"#, &[]);
        assert_eq!(said, Ok("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".into()));
        let of_files = r#"{"client_auth": {"username_file": "u", "password_file": "p"}}"#;
        assert_eq!(value(of_files, &["Aladdin\n", "open sesame\n"]), said);
        let of_both = r#"{"client_auth": {"username": "Aladdin", "password_file": "p"}}"#;
        assert_eq!(value(of_both, &["open sesame"]), said);
    }

    #[test]
    fn what_is_missing_is_said_and_no_password() {
        for (json, word) in [
            ("{}", "`client_auth` is needed"),
            (r#"{"htpasswd": {"inline": "a:hush"}}"#, "exporters"),
            (r#"{"client_auth": {"username": "a"}}"#, "a `password`"),
            (r#"{"client_auth": {"username": "a:b", "password": "hush"}}"#, "colon"),
            (r#"{"client_auth": {"username": "a", "password": "hush", "password_file": "p"}}"#, "instead of"),
        ] {
            let error = value(json, &["x"]).unwrap_err();
            assert!(error.contains(word) && !error.contains("hush"), "{json}: {error}");
        }
        assert!(
            !format!("{:?}", serde_json::from_str::<BasicAuth>(r#"{"client_auth": {"password": "hush"}}"#))
                .contains("hush")
        );
    }
}
