//! TLS on both sides, with one provider of cryptography whatever else a program brings along.

mod client;
mod revocation;
#[cfg(feature = "collector")]
mod server;

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

#[cfg(any(feature = "collector", feature = "redis"))]
pub use client::client;
pub use client::{Tls, connector};
#[cfg(feature = "collector")]
pub use client::{no_roots, remedy};
#[cfg(feature = "collector")]
pub use server::{Server, Terms};

use crate::reload::at;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates of a file.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| at(path, &error))?;
    if certificates.is_empty() { Err(at(path, &"there is no certificate in it")) } else { Ok(certificates) }
}

/// The key of a file.
fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| at(path, &error))
}

/// The authorities of a file.
fn authorities(path: &Path, pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|error| at(path, &error))?;
    }
    Ok(roots)
}
