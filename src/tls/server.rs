//! TLS as a server. Keys are those of the OpenTelemetry Collector.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use serde::Deserialize;

use super::{authorities, certificates, private_key, provider};
use crate::config::types::Span;
use crate::reload::{Reloading, at};

/// `tls` of whatever listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Our certificate, and those between it and its authority, as PEM.
    pub cert_file: PathBuf,
    /// Its key, as PEM.
    pub key_file: PathBuf,
    /// The authorities of clients, as PEM: with it only those may connect that have a certificate of theirs.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub min_version: Option<Version>,
    /// The newest version of TLS that is spoken.
    #[serde(default)]
    pub max_version: Option<Version>,
    /// How often the files are looked at for something new.
    #[serde(default = "a_minute")]
    pub reload_interval: Span,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

fn a_minute() -> Span {
    Span(Duration::from_secs(60))
}

impl Server {
    /// Whether clients must say who they are, by a certificate.
    pub fn asks_clients(&self) -> bool {
        self.client_ca_file.is_some()
    }

    /// Checks the files, and what is said of them.
    ///
    /// # Errors
    /// As of [`Server::load`].
    pub fn validate(&self) -> Result<(), String> {
        self.load().map(drop)
    }

    /// What is needed to serve, made of the files as they are and made again when they change.
    ///
    /// # Errors
    /// Files that cannot be read, or do not belong together; versions that leave none.
    pub fn load(&self) -> Result<Reloading<ServerConfig>, String> {
        if self.reload_interval.0 < Duration::from_secs(1) {
            return Err("`tls.reload_interval` is less than a second".into());
        }
        if self.versions().is_empty() {
            return Err("`tls.min_version` is above `tls.max_version`, which leaves no version".into());
        }
        let files = [&self.cert_file, &self.key_file].into_iter().chain(&self.client_ca_file).cloned().collect();
        let config = self.clone();
        Reloading::new(files, move |contents| config.make(contents))
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<ServerConfig, String> {
        let [chain, key, authorities_of_clients @ ..] = contents else {
            return Err("a certificate and its key are two files".into());
        };
        let (chain, key) = (certificates(&self.cert_file, chain)?, private_key(&self.key_file, key)?);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions())
            .map_err(|error| format!("TLS: {error}"))?;
        let builder = match (&self.client_ca_file, authorities_of_clients) {
            (Some(path), [pem]) => {
                let roots = Arc::new(authorities(path, pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| at(path, &error))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| at(&self.cert_file, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let (least, most) = (self.min_version.unwrap_or(Version::V1_2), self.max_version.unwrap_or(Version::V1_3));
        let all = [(Version::V1_2, &TLS12), (Version::V1_3, &TLS13)];
        all.into_iter().filter(|(version, _)| (least..=most).contains(version)).map(|(_, known)| known).collect()
    }
}
