//! Types that configurations of several components share.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer};

/// A duration such as `200ms`, `5s` or `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub address: SocketAddr,
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::duration::parse(&text).map(Span).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
        let text = String::deserialize(deserializer)?;
        Listen::parse(&text).map_err(de::Error::custom)
    }
}

impl Listen {
    /// The address of a text such as `127.0.0.1:4317`, `localhost:4317` or `:4317` (every interface).
    pub fn parse(text: &str) -> Result<Listen, String> {
        let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
        let invalid = || format!("`{text}` is no address to listen on; write HOST:PORT, such as 127.0.0.1:4317");
        let port = full.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        port.ok_or_else(invalid)?;
        let mut addresses = full.to_socket_addrs().map_err(|error| format!("{}: {error}", invalid()))?;
        let address = addresses.next().ok_or_else(invalid)?;
        Ok(Listen { text: text.to_owned(), address })
    }

    /// Whether only programs on this machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

/// Whether a host, as it stands in an address, is this machine.
pub fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A text that is nobody's business: it is never shown.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}
