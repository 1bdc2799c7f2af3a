//! What can be said of the archive.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use crate::config::types::{Secret, Span, is_this_machine};
use crate::content::{Classes, Policy};
use crate::tls::Tls;

/// The extension `archive`: sealed segments of the journal as Parquet, elsewhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to: `s3://BUCKET/PREFIX`, or `file:///DIRECTORY`.
    pub url: String,
    /// The URL of the storage, where it is not that of AWS.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Whether the bucket stands in the host's name, and not in the path.
    #[serde(default)]
    pub virtual_hosted_style: bool,
    /// Who we are; without it, what `AWS_*` in the environment says, or the machine that we are on.
    pub access_key_id: Option<String>,
    /// What proves it.
    pub secret_access_key: Option<Secret>,
    /// What goes with a key for some hours.
    pub session_token: Option<Secret>,
    /// What becomes of content; without it, it stays on this machine and goes to no other.
    pub content: Option<Classes>,
    /// TLS.
    #[serde(default)]
    pub tls: Tls,
    /// How long one request may take.
    #[serde(default = "a_minute")]
    pub timeout: Span,
}

/// Where objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Below a prefix in a bucket.
    Bucket { name: String, prefix: String },
    /// Below a directory.
    Directory(PathBuf),
}

fn a_minute() -> Span {
    Span(Duration::from_secs(60))
}

impl Config {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// What is wrong, in words that show no secret.
    pub fn validate(&self) -> Result<(), String> {
        let place = self.place()?;
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err("`access_key_id` and `secret_access_key` belong together".into());
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return Err("`session_token` goes with `access_key_id` and `secret_access_key`".into());
        }
        if self.access_key_id.as_ref().is_some_and(String::is_empty)
            || self.secret_access_key.as_ref().is_some_and(|secret| secret.0.is_empty())
        {
            return Err(
                "`access_key_id` or `secret_access_key` is empty; without both, those of the environment are used"
                    .into(),
            );
        }
        if let Some(endpoint) = &self.endpoint {
            check_endpoint(endpoint)?;
        }
        if matches!(place, Place::Directory(_)) && (self.endpoint.is_some() || self.access_key_id.is_some()) {
            return Err("`url` is of a directory, and `endpoint` and keys are for s3://BUCKET/PREFIX".into());
        }
        if self.timeout.0.is_zero() {
            return Err("`timeout` is longer than nothing".into());
        }
        Ok(())
    }

    /// Where objects go.
    ///
    /// # Errors
    /// The URL is none of those that are understood.
    pub fn place(&self) -> Result<Place, String> {
        let wrong = || format!("`url` is s3://BUCKET/PREFIX or file:///DIRECTORY, not `{}`", self.url);
        if let Some(path) = self.url.strip_prefix("file://") {
            let is_absolute = path.starts_with('/') && path.len() > 1;
            return is_absolute.then(|| Place::Directory(path.into())).ok_or_else(wrong);
        }
        let (name, prefix) =
            self.url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or_else(wrong)?;
        let is_of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(is_of_names) || prefix.contains(['?', '#']) {
            return Err(wrong());
        }
        Ok(Place::Bucket { name: name.into(), prefix: prefix.trim_matches('/').into() })
    }

    /// What becomes of content: what was asked for, else it stays on this machine.
    pub fn content(&self) -> Classes {
        self.content.unwrap_or(Classes::all(if self.is_this_machine() { Policy::Keep } else { Policy::Drop }))
    }

    /// Whether content is dropped that nobody asked to drop.
    pub fn drops_unasked(&self) -> bool {
        self.content.is_none() && !self.is_this_machine()
    }

    /// Whether nothing leaves this machine. A name counts as elsewhere, whatever it resolves to.
    fn is_this_machine(&self) -> bool {
        let endpoint = self.endpoint.as_ref().and_then(|endpoint| endpoint.parse::<Uri>().ok());
        let is_here = |uri: Uri| uri.host().is_some_and(|host| is_this_machine(host.trim_matches(['[', ']'])));
        matches!(self.place(), Ok(Place::Directory(_))) || endpoint.is_some_and(is_here)
    }

    /// Whether nothing is encrypted on its way.
    pub fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let wrong = || format!("`endpoint` is a URL such as https://s3.example.com:9000, not `{endpoint}`");
    let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !is_http || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
        return Err(wrong());
    }
    if has_user {
        return Err("keys do not belong into `endpoint`, but into `access_key_id` and `secret_access_key`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> Config {
        serde_json::from_str(yaml).unwrap()
    }

    fn place(url: &str) -> Result<Place, String> {
        config(&format!(r#"{{"url": "{url}"}}"#)).place()
    }

    #[test]
    fn a_place_is_a_bucket_or_a_directory() {
        let bucket = |name: &str, prefix: &str| Ok(Place::Bucket { name: name.into(), prefix: prefix.into() });
        assert_eq!(place("s3://agents"), bucket("agents", ""));
        assert_eq!(place("s3://agents/"), bucket("agents", ""));
        assert_eq!(place("s3://agents/a/b/"), bucket("agents", "a/b"));
        assert_eq!(place("file:///var/lib/x"), Ok(Place::Directory("/var/lib/x".into())));
        for wrong in [
            "",
            "agents",
            "s3://",
            "s3:///x",
            "gs://x",
            "file://x",
            "file:///",
            "s3://a b",
            "s3://k:s@b/x",
            "s3://b/x?y",
        ] {
            assert!(place(wrong).unwrap_err().contains("s3://BUCKET/PREFIX"), "{wrong}");
        }
    }

    #[test]
    fn content_stays_on_this_machine_unless_it_is_said() {
        let keeps = |rest: &str| config(&format!("{{{rest}}}")).content().keep_all();
        assert!(keeps(r#""url": "file:///x""#) && keeps(r#""url": "s3://b", "endpoint": "http://[::1]:9000""#));
        assert!(!keeps(r#""url": "s3://b""#) && !keeps(r#""url": "s3://b", "endpoint": "http://minio:9000""#));
        assert!(keeps(r#""url": "s3://b", "content": "keep""#));
        assert!(config(r#"{"url": "s3://b"}"#).drops_unasked());
        assert!(!config(r#"{"url": "s3://b", "content": "drop"}"#).drops_unasked());
    }

    #[test]
    fn what_does_not_fit_together_is_said_without_secrets() {
        let wrong = |rest: &str| config(&format!(r#"{{"url": "s3://b", {rest}}}"#)).validate().unwrap_err();
        assert!(wrong(r#""secret_access_key": "hush""#).contains("belong together"));
        assert!(wrong(r#""access_key_id": "", "secret_access_key": "hush""#).contains("is empty"));
        assert!(wrong(r#""session_token": "hush""#).contains("goes with"));
        assert!(wrong(r#""endpoint": "127.0.0.1:9000""#).contains("is a URL"));
        let with_user = wrong(r#""endpoint": "http://ada:hush@h""#);
        assert!(with_user.contains("do not belong") && !with_user.contains("hush"));
        assert!(wrong(r#""timeout": "0s""#).contains("timeout"));
        let of_directory = config(r#"{"url": "file:///x", "endpoint": "http://h"}"#).validate();
        assert!(of_directory.unwrap_err().contains("directory"));
        let good = config(
            r#"{"url": "s3://b", "endpoint": "https://h:9000", "access_key_id": "k", "secret_access_key": "hush"}"#,
        );
        assert!(good.validate().is_ok() && !format!("{good:?}").contains("hush"));
    }
}
