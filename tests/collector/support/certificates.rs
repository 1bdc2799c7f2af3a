//! An authority, what it says of others, and clients that trust it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use super::PATIENCE;
use super::client::Answer;

/// An authority: `ca.pem` in a folder of its own, beside `NAME.pem` and `NAME.key` of whom it knows.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Authority {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let authority = Authority { folder: tempfile::tempdir().unwrap() };
        let number = NUMBER.fetch_add(1, Relaxed);
        authority.openssl(&format!("{NEW} -keyout ca.key -out ca.pem -subj /CN=authority-{number}"));
        authority
    }

    /// Says who somebody is: a server is `localhost`.
    pub fn issue(&self, name: &str) {
        self.openssl(&format!(
            "{NEW} -keyout {name}.key -out {name}.pem -subj /CN={name} -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE"
        ));
    }

    /// Writes `crl.pem`: these are revoked, and so is who was before. Another list is promised in two days, or, where this
    /// one `is_old`, was long ago.
    pub fn revoke(&self, names: &[&str], is_old: bool) {
        if !self.folder.path().join("ca.cnf").exists() {
            for (file, content) in [("ca.cnf", CA), ("index.txt", ""), ("crlnumber", "01")] {
                std::fs::write(self.folder.path().join(file), content).unwrap();
            }
        }
        let ours = "ca -config ca.cnf -cert ca.pem -keyfile ca.key";
        names.iter().for_each(|name| self.openssl(&format!("{ours} -revoke {name}.pem")));
        let times =
            if is_old { "-crl_lastupdate 20200101000000Z -crl_nextupdate 20200102000000Z" } else { "-crldays 2" };
        self.openssl(&format!("{ours} -gencrl {times} -out crl.pem"));
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// What a client needs that trusts this authority, and that has a certificate of it if it is given the name.
    pub fn client(&self, name: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let certificate = CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        }
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").current_dir(&self.folder).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

const CA: &str = "[ca]
default_ca = own
[own]
database = index.txt
crlnumber = crlnumber
default_md = sha256
crl_extensions = of_lists
[of_lists]
authorityKeyIdentifier = keyid
";

const NEW: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";

/// One request over TLS, by HTTP/2 where `http2`; or what went wrong on the way.
pub async fn send(config: ClientConfig, http2: bool, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
    let connector = if http2 { builder.enable_http2().build() } else { builder.enable_http1().build() };
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build(connector);
    let answered = async {
        let response = client.request(request).await.map_err(|error| chain(&error))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| chain(&error))?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
