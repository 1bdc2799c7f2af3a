//! TLS as a client: whom to trust, and who we are, both from files that may change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Deserialize;

use super::{certificates, private_key, provider, revocation};
use crate::reload::{Reloading, at};

/// TLS as a client.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// No TLS at all.
    pub insecure: bool,
    /// TLS with whoever answers. For tests only.
    pub insecure_skip_verify: bool,
    /// The authorities to trust, instead of the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// What these authorities have revoked, as PEM: a list of each that has issued a certificate.
    pub crl_file: Option<PathBuf>,
    /// Our certificate, as PEM, where the receiver wants one.
    pub cert_file: Option<PathBuf>,
    /// Its key, as PEM.
    pub key_file: Option<PathBuf>,
}

/// Connects for HTTP clients, with TLS where the URL says so.
///
/// # Errors
/// Files that cannot be read or used.
pub fn connector(tls: &Tls, wants_tls: bool, http2: bool) -> Result<HttpsConnector<HttpConnector>, String> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(10)));
    let config = if wants_tls { client(tls)? } else { no_roots()? };
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    Ok(match http2 {
        true => builder.enable_http2().wrap_connector(connector),
        false => builder.enable_http1().wrap_connector(connector),
    })
}

/// What a client needs that makes plain connections only: those need no certificates, and reading the system's takes time
/// and memory.
///
/// # Errors
/// None that a configuration could mend.
pub fn no_roots() -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// What a client needs that trusts as the configuration says. Files are looked at again for every handshake, so that what
/// changes in them is in force for the next connection.
///
/// # Errors
/// Files that cannot be read or used.
pub fn client(tls: &Tls) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?;
    if tls.crl_file.is_some() && (tls.ca_file.is_none() || tls.insecure_skip_verify) {
        return Err("`tls.crl_file` has what the authorities of `tls.ca_file` have revoked, and needs it".into());
    }
    let builder = if tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Trust::new(Whom::Everyone)))
    } else if let Some(authorities) = &tls.ca_file {
        let whom = Whom::of_files(authorities, tls.crl_file.as_deref())?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Trust::new(whom)))
    } else {
        let system = |error| format!("the system's certificates cannot be read ({error}); set `tls.ca_file`");
        builder.with_native_roots().map_err(system)?
    };
    let mut config = match (&tls.cert_file, &tls.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            builder.with_client_cert_resolver(Arc::new(OwnCertificate::new(cert.clone(), key.clone())?))
        }
        _ => return Err("`tls.cert_file` and `tls.key_file` belong together".into()),
    };
    if tls.ca_file.is_some() {
        // A session that is resumed would be trusted because of what the file said before.
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}

/// What whoever started a command can do about an error, if TLS is the reason and there is something. Those who connect and
/// those who speak HTTP/2 wrap what went wrong so that only its words are left.
#[cfg(feature = "collector")]
pub fn remedy(error: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 4] = [
        ("UnknownIssuer", "whoever issued it is not trusted; --ca-file names an authority that is"),
        ("fatal alert: CertificateRequired", "it wants to know who asks: --cert-file and --key-file tell it"),
        ("fatal alert: HandshakeFailure", "it may want to know who asks: --cert-file and --key-file tell it"),
        ("corrupt message", "it does not seem to speak TLS"),
    ];
    REMEDIES.iter().find_map(|(words, remedy)| error.contains(words).then_some(*remedy))
}

/// As the files are now; if they are no good, as they were, which is said.
fn fresh<T>(files: &Reloading<T>) -> Arc<T> {
    if let Err(error) = files.renew() {
        crate::report::warn(&format!("TLS: {error}; what was read before stays in force"));
    }
    files.current()
}

/// Decides who is trusted.
#[derive(Debug)]
struct Trust {
    whom: Whom,
    provider: Arc<CryptoProvider>,
}

/// Who is trusted.
#[derive(Debug)]
enum Whom {
    /// Whom the authorities of a file know, and have not revoked.
    Known(Reloading<WebPkiServerVerifier>),
    /// Everyone, because the configuration says so.
    Everyone,
}

impl Whom {
    fn of_files(authorities: &Path, revoked: Option<&Path>) -> Result<Whom, String> {
        let (file, lists) = (authorities.to_owned(), revoked.map(Path::to_owned));
        let files = [authorities].into_iter().chain(revoked).map(Path::to_owned).collect();
        let make = move |contents: &[Vec<u8>]| {
            let [pem, revoked @ ..] = contents else { return Err("authorities are a file".into()) };
            let roots = Arc::new(super::authorities(&file, pem)?);
            let mut builder = WebPkiServerVerifier::builder_with_provider(roots, provider());
            if let (Some(path), [pem]) = (&lists, revoked) {
                builder = builder.with_crls(revocation::lists(path, pem)?).enforce_revocation_expiration();
            }
            let verifier = builder.build().map_err(|error| at(lists.as_ref().unwrap_or(&file), &error))?;
            // It is made here, so nobody else has it.
            Arc::into_inner(verifier).ok_or_else(|| at(&file, &"the verifier is in use already"))
        };
        Reloading::new(files, make).map(Whom::Known)
    }
}

impl Trust {
    fn new(whom: Whom) -> Trust {
        Trust { whom, provider: provider() }
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.whom {
            Whom::Known(files) => {
                fresh(files).verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Whom::Everyone => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Shows the certificate of a file.
#[derive(Debug)]
struct OwnCertificate(Reloading<CertifiedKey>);

impl OwnCertificate {
    fn new(cert: PathBuf, key: PathBuf) -> Result<OwnCertificate, String> {
        let files = vec![cert.clone(), key.clone()];
        let make = move |contents: &[Vec<u8>]| {
            let [chain, private] = contents else { return Err("a certificate and its key are two files".into()) };
            let (chain, private) = (certificates(&cert, chain)?, private_key(&key, private)?);
            CertifiedKey::from_der(chain, private, &provider()).map_err(|error| at(&cert, &error))
        };
        Reloading::new(files, make).map(OwnCertificate)
    }
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(fresh(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
