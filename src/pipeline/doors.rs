//! Ports before they serve: bound, unless that would open them to others by mistake, with TLS, and with whom they believe.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use super::plan::Plan;
use super::reloads::{self, Reloads};
use super::{Options, StartError};
use crate::auth::{self, Auth};
use crate::config::types::Listen;
use crate::health::Health;
use crate::listen::{Limits, Listener, Port};
use crate::reload::Reloading;
use crate::tls;

/// What is said of who may come in.
#[derive(Clone, Copy)]
pub struct Door<'c> {
    /// What people know the port by.
    pub name: &'c str,
    /// TLS.
    pub tls: Option<&'c tls::Server>,
    /// Whom it believes; without it, everybody.
    pub auth: Option<&'c auth::Config>,
}

/// A bound port.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    name: String,
    tls: Option<(Arc<Reloading<tls::Terms>>, Duration)>,
    asks_who: bool,
}

impl Door<'_> {
    /// Whether nobody comes in whom nobody knows.
    fn is_guarded(&self) -> bool {
        self.auth.is_some() || self.tls.is_some_and(tls::Server::asks_clients)
    }

    /// Binds the port.
    pub async fn bind(self, endpoint: &Listen, options: &Options) -> Result<Bound, StartError> {
        if !endpoint.is_loopback() && !options.insecure_bind && !self.is_guarded() {
            return Err(StartError::Exposed { address: endpoint.text.clone(), port: self.name.to_owned() });
        }
        let unusable = |message| StartError::Component { id: self.name.to_owned(), message };
        let load = |tls: &tls::Server| Ok((Arc::new(tls.load()?), tls.reload_interval.0));
        let tls = self.tls.map(load).transpose().map_err(unusable)?;
        let failed = |error| StartError::Bind { address: endpoint.text.clone(), error };
        let listener = listen(endpoint.address).map_err(failed)?;
        let address = listener.local_addr().unwrap_or(endpoint.address);
        Ok(Bound { listener, address, name: self.name.to_owned(), tls, asks_who: self.auth.is_some() })
    }

    /// What the port believes, kept as its files are.
    pub fn auth(self, plan: &Plan, reloads: &mut Reloads) -> Result<Option<Arc<Auth>>, StartError> {
        let Some(config) = self.auth else { return Ok(None) };
        let unusable = |message| StartError::Component { id: self.name.to_owned(), message };
        let auth = Arc::new(plan.auth(config).map_err(unusable)?);
        let known = auth.clone();
        reloads.add(self.name, reloads::USUAL, move || known.renew());
        Ok(Some(auth))
    }
}

/// Binds a port with a backlog in which those find room who connect all at once: beyond it they are reset. The system may
/// say less.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // After a restart connections of the one before may still be ending; on Windows it would let in others beside us.
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Bound {
    /// Where it is.
    pub fn at(&self, transport: &'static str) -> Port {
        Port { transport, address: self.address, is_tls: self.tls.is_some(), asks_who: self.asks_who }
    }

    /// Ready to serve; certificates are kept as their files are.
    pub fn listener(self, limits: Limits, health: &Health, reloads: &mut Reloads) -> Listener {
        let listener = Listener::new(self.listener, &self.name, limits, health);
        let Some((tls, every)) = self.tls else { return listener };
        let files = tls.clone();
        reloads.add(&self.name, every, move || files.renew());
        listener.secured(tls, health)
    }
}
