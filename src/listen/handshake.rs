//! The door of a port with TLS: who may come in within which time, and why somebody did not.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{CertificateError, Error};
use rustls_pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::ending::Ending;
use crate::health::{About, Count, Health};
use crate::reload::Reloading;
use crate::tls::Terms;

/// Connections that did not become any.
const FAILED: About = About {
    name: "spanlight.listener.handshakes_failed",
    unit: "{connection}",
    help: "Connections to a port with TLS that ended before they were one, by reason.",
};

/// Connections that had to end.
const REVOKED: About = About {
    name: "spanlight.listener.revoked",
    unit: "{connection}",
    help: "Connections to a port with TLS that were ended because the client's certificate was revoked meanwhile.",
};

/// The first byte of every connection with TLS: a record of a handshake.
const HANDSHAKE: u8 = 0x16;

/// What those are told who speak HTTP/1.1 without TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    connection: close\r\ncontent-length: 46\r\n\r\nthis port speaks TLS: use https instead of it\n";

/// What those are told who speak HTTP/2 without TLS, as gRPC does: empty settings, and a farewell for inadequate
/// security that says why.
const PLAIN_HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x1c\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0cthis port speaks TLS";

/// Makes connections of a port into such with TLS.
pub struct Door {
    tls: Arc<Reloading<Terms>>,
    room: Semaphore,
    patience: Duration,
    failed: Failures,
    revoked: Count,
}

/// A connection with TLS.
pub struct Inside {
    /// What is said.
    pub stream: Ending<TlsStream<TcpStream>>,
    /// Is cancelled once the client's certificate is revoked. A little later the stream ends, whoever has it.
    pub is_revoked: CancellationToken,
}

/// How often a handshake failed, by reason.
struct Failures {
    listener: String,
    too_slow: Count,
    too_many: Count,
    no_tls: Count,
    certificate: Count,
    revoked: Count,
    revocation_list: Count,
    incompatible: Count,
    alert: Count,
    broken_off: Count,
    invalid: Count,
}

impl Door {
    /// Handshakes at a time. They cost more than what a connection costs that waits, so that there are fewer of them than
    /// of connections.
    const MOST: usize = 1024;
    /// How long those may go on who are revoked, to get the answers that they wait for.
    const LAST: Duration = Duration::from_secs(5);

    /// Of a listener. A handshake may take as long as `patience`.
    pub fn new(tls: Arc<Reloading<Terms>>, patience: Duration, listener: &str, health: &Health) -> Door {
        let reason = |reason| health.counter(FAILED, &[("listener", listener), ("reason", reason)]);
        let failed = Failures {
            listener: listener.to_owned(),
            too_slow: reason("too_slow"),
            too_many: reason("too_many"),
            no_tls: reason("no_tls"),
            certificate: reason("certificate"),
            revoked: reason("revoked"),
            revocation_list: reason("revocation_list"),
            incompatible: reason("incompatible"),
            alert: reason("alert"),
            broken_off: reason("broken_off"),
            invalid: reason("invalid"),
        };
        let revoked = health.counter(REVOKED, &[("listener", listener)]);
        Door { tls, room: Semaphore::new(Door::MOST), patience, failed, revoked }
    }

    /// The connection with TLS, if it becomes one.
    pub async fn open(&self, stream: TcpStream) -> Option<Inside> {
        let Ok(_turn) = self.room.try_acquire() else {
            self.failed.too_many.add(1);
            return None;
        };
        match tokio::time::timeout(self.patience, self.shake(stream)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(reason)) => reason.add(1),
            Err(_) => self.failed.too_slow.add(1),
        }
        None
    }

    /// Whoever does not begin with a handshake is told so in their own language, for as long as that makes sense.
    async fn shake(&self, mut stream: TcpStream) -> Result<Inside, &Count> {
        let mut first = [0; 3];
        let known = match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return Err(&self.failed.broken_off),
            Ok(known) => known,
        };
        if first[0] != HANDSHAKE {
            let words = if first[..known] == b"PRI"[..known] { PLAIN_HTTP2 } else { PLAIN_HTTP };
            // Who is gone need not be told. What came is read, so that the answer is not lost in a reset.
            let told = async {
                stream.write_all(words).await?;
                stream.shutdown().await?;
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
            };
            tokio::time::timeout(Duration::from_secs(1), told).await.map(drop).unwrap_or_default();
            return Err(&self.failed.no_tls);
        }
        let peer = stream.peer_addr().map_or_else(|_| "somebody".into(), |peer| peer.ip().to_string());
        // What changes from now on is noticed, also within the handshake.
        let (changes, terms) = (self.tls.changes(), self.tls.current());
        let shaken = TlsAcceptor::from(terms.config.clone()).accept(stream).await;
        let stream = shaken.map_err(|error| self.failed.of(&error, &peer))?;
        Ok(self.inside(stream, changes, terms.has_lists(), &peer))
    }

    /// A connection that ends when the client's certificate is revoked, where it may be.
    fn inside(
        &self,
        stream: TlsStream<TcpStream>,
        changes: watch::Receiver<()>,
        has_lists: bool,
        peer: &str,
    ) -> Inside {
        let is_revoked = CancellationToken::new();
        let Some(chain) = stream.get_ref().1.peer_certificates().filter(|_| has_lists) else {
            return Inside { stream: Ending::with(stream, std::future::pending()), is_revoked };
        };
        let chain: Vec<_> = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let (tls, count, revoked) = (self.tls.clone(), self.revoked.clone(), is_revoked.clone());
        let words = format!("{}: a connection of {peer} ends: its certificate was revoked", self.failed.listener);
        let end = async move {
            revocation(&tls, changes, &chain).await;
            count.add(1);
            crate::report::warn(&words);
            revoked.cancel();
            tokio::time::sleep(Door::LAST).await;
        };
        Inside { stream: Ending::with(stream, end), is_revoked }
    }
}

/// Waits until a list says of certificates that one of them was revoked.
async fn revocation(tls: &Reloading<Terms>, mut changes: watch::Receiver<()>, chain: &[CertificateDer<'static>]) {
    while changes.changed().await.is_ok() {
        if tls.current().has_revoked(chain) {
            return;
        }
    }
    std::future::pending().await
}

impl Failures {
    /// The count of a reason. Of certificates that were good once, those who run this are told as well.
    fn of(&self, error: &io::Error, peer: &str) -> &Count {
        use CertificateError::{ExpiredRevocationList, ExpiredRevocationListContext, Revoked, UnknownRevocationStatus};
        let say = |what: &str| crate::report::warn(&format!("{}: {peer} was refused: {what}", self.listener));
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(Revoked)) => {
                say("its certificate was revoked");
                &self.revoked
            }
            Some(Error::InvalidCertificate(UnknownRevocationStatus)) => {
                say("`tls.client_crl_file` has no list of an authority of its certificate; put one there");
                &self.revocation_list
            }
            Some(Error::InvalidCertificate(ExpiredRevocationList | ExpiredRevocationListContext { .. })) => {
                say("a list in `tls.client_crl_file` has expired, and nobody comes in until a new one is there");
                &self.revocation_list
            }
            Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => &self.certificate,
            Some(Error::PeerIncompatible(_)) => &self.incompatible,
            Some(Error::AlertReceived(_)) => &self.alert,
            Some(_) => &self.invalid,
            None => &self.broken_off,
        }
    }
}
