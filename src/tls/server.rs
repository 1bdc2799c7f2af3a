//! TLS as a server. Keys are those of the OpenTelemetry Collector.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::Deserialize;

use super::{authorities, certificates, private_key, provider, revocation};
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
    /// What these authorities have revoked, as PEM: a list of each that has issued a certificate.
    #[serde(default)]
    pub client_crl_file: Option<PathBuf>,
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

/// What a port goes by, as its files are.
pub struct Terms {
    /// What a handshake takes.
    pub config: Arc<ServerConfig>,
    /// What decides on certificates of clients, where there are lists of revoked ones.
    lists: Option<Arc<dyn ClientCertVerifier>>,
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
    pub fn load(&self) -> Result<Reloading<Terms>, String> {
        if self.reload_interval.0 < Duration::from_secs(1) {
            return Err("`tls.reload_interval` is less than a second".into());
        }
        if self.versions().is_empty() {
            return Err("`tls.min_version` is above `tls.max_version`, which leaves no version".into());
        }
        if self.client_crl_file.is_some() && !self.asks_clients() {
            return Err(
                "`tls.client_crl_file` has what the authorities of `tls.client_ca_file` have revoked, and needs it"
                    .into(),
            );
        }
        let of_clients = self.client_ca_file.iter().chain(&self.client_crl_file);
        let files = [&self.cert_file, &self.key_file].into_iter().chain(of_clients).cloned().collect();
        let config = self.clone();
        Reloading::new(files, move |contents| config.make(contents))
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Terms, String> {
        let [chain, key, of_clients @ ..] = contents else {
            return Err("a certificate and its key are two files".into());
        };
        let (chain, key) = (certificates(&self.cert_file, chain)?, private_key(&self.key_file, key)?);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions())
            .map_err(|error| format!("TLS: {error}"))?;
        let verifier = self.verifier(of_clients)?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| at(&self.cert_file, &error))?;
        if self.client_crl_file.is_some() {
            // Of a session that is resumed nobody looks whether its certificate was revoked.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Terms::new(config, verifier.filter(|_| self.client_crl_file.is_some())))
    }

    /// What decides on certificates of clients, where they must have one.
    fn verifier(&self, contents: &[Vec<u8>]) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
        let (Some(path), [pem, revoked @ ..]) = (&self.client_ca_file, contents) else { return Ok(None) };
        let roots = Arc::new(authorities(path, pem)?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        if let (Some(path), [pem]) = (&self.client_crl_file, revoked) {
            builder = builder.with_crls(revocation::lists(path, pem)?).enforce_revocation_expiration();
        }
        let wrong = |error: VerifierBuilderError| at(self.client_crl_file.as_ref().unwrap_or(path), &error);
        builder.build().map(Some).map_err(wrong)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let (least, most) = (self.min_version.unwrap_or(Version::V1_2), self.max_version.unwrap_or(Version::V1_3));
        let all = [(Version::V1_2, &TLS12), (Version::V1_3, &TLS13)];
        all.into_iter().filter(|(version, _)| (least..=most).contains(version)).map(|(_, known)| known).collect()
    }
}

impl Terms {
    /// Of what handshakes take, and of what knows lists of revoked certificates.
    pub fn new(config: ServerConfig, lists: Option<Arc<dyn ClientCertVerifier>>) -> Terms {
        Terms { config: Arc::new(config), lists }
    }

    /// Whether certificates of clients may be revoked.
    pub fn has_lists(&self) -> bool {
        self.lists.is_some()
    }

    /// Whether one of these was revoked: a client's certificate, and those between it and its authority.
    pub fn has_revoked(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(lists), [own, between @ ..]) = (&self.lists, chain) else { return false };
        let verified = lists.verify_client_cert(own, between, UnixTime::now());
        matches!(verified, Err(rustls::Error::InvalidCertificate(CertificateError::Revoked)))
    }
}
