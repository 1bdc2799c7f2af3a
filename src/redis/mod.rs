//! A server of Redis or Valkey: where it is, who we are to it, and what its errors mean.
//!
//! Exporter and receiver reach it in the same way, so that what works for one works for the other.

mod link;
mod partitions;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError, ServerErrorKind};
use rustls::ClientConfig;

use crate::config::types::{Secret, is_this_machine};
use crate::tls::{self, Tls};

pub use link::{Link, Script};
pub use partitions::Partitions;

/// What a configuration says of a server.
#[derive(Clone, Copy, Debug)]
pub struct Said<'c> {
    /// `redis://host:6379/0`, `rediss://…` for TLS, `redis+unix:///path`, or `host:port`.
    pub url: &'c Secret,
    /// Who we are, where the URL does not say.
    pub username: Option<&'c str>,
    /// Its password, where the URL does not say.
    pub password: Option<&'c Secret>,
    /// The database, where the URL does not say.
    pub db: Option<u16>,
    /// How TLS is done.
    pub tls: &'c Tls,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A server.
#[derive(Clone)]
pub struct Server {
    address: Address,
    login: RedisConnectionInfo,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
}

/// Where a server is.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Server {
    /// Of what a configuration says. Nothing is connected yet; files of TLS are read.
    ///
    /// # Errors
    /// What is wrong, in words that show no secret.
    pub fn new(said: &Said<'_>) -> Result<Server, String> {
        let url = said.url.0.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
        let (scheme, is_tls) = match scheme {
            "redis" | "valkey" => ("redis", false),
            "rediss" | "valkeys" => ("redis", true),
            "unix" | "redis+unix" | "valkey+unix" => ("redis+unix", false),
            other => {
                return Err(format!("`{other}://` is no scheme of Redis; write redis://, rediss:// or redis+unix://"));
            }
        };
        let (rest, unverified) = match rest.strip_suffix("#insecure") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let parsed = format!("{scheme}://{rest}").into_connection_info();
        let info =
            parsed.map_err(|error| format!("`url` is none of a server, such as redis://host:6379/0: {error}"))?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err("`url` is neither of a host nor of a socket".into()),
        };
        if is_tls && said.tls.insecure {
            return Err("`tls.insecure` is no TLS at all, and rediss:// is TLS; write redis:// for none".into());
        }
        let has_tls_keys = said.tls.ca_file.is_some() || said.tls.cert_file.is_some() || said.tls.insecure_skip_verify;
        if !is_tls && has_tls_keys {
            return Err("`tls` is for rediss://, and the URL is of a server without TLS".into());
        }
        let tls = Tls { insecure_skip_verify: said.tls.insecure_skip_verify || unverified, ..said.tls.clone() };
        let tls = is_tls.then(|| tls::client(&tls)).transpose()?.map(Arc::new);
        Ok(Server { address, login: login(info.redis_settings(), said), tls, timeout: said.timeout })
    }

    /// A stream of this server, in words that are the same for whoever reads and whoever writes it.
    pub fn stream(&self, name: &str) -> String {
        let server = match &self.address {
            Address::Tcp(host, port) if is_this_machine(host) => format!("localhost:{port}"),
            _ => self.to_string(),
        };
        format!("{name} of {server}/{}", self.login.db())
    }

    /// Whether nothing that is sent leaves this machine. A name counts as elsewhere, whatever it resolves to.
    pub fn is_this_machine(&self) -> bool {
        match &self.address {
            Address::Tcp(host, _) => is_this_machine(host),
            Address::Unix(_) => true,
        }
    }
}

/// Who we are to the server: what the URL says, else what is said beside it.
fn login(of_url: &RedisConnectionInfo, said: &Said<'_>) -> RedisConnectionInfo {
    let mut login = of_url.clone();
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    if let (None, Some(username)) = (login.username(), given(said.username)) {
        login = login.set_username(username);
    }
    if let (None, Some(password)) = (login.password(), given(said.password.map(|secret| secret.0.as_str()))) {
        login = login.set_password(password);
    }
    if let (0, Some(db)) = (login.db(), said.db) {
        login = login.set_db(db.into());
    }
    login.set_lib_name("spanlight", env!("CARGO_PKG_VERSION"))
}

/// Whether the server will say the same of the same command every time. Everything else passes: it may be loading, full,
/// a replica for the moment, or tell us tomorrow that the password is right.
pub fn is_final(error: &RedisError) -> bool {
    const PASSING: [&str; 8] =
        ["OOM", "MISCONF", "READONLY", "LOADING", "BUSY", "MASTERDOWN", "max number of clients", "NOREPLICAS"];
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError) => {
            let says = error.to_string();
            !PASSING.iter().any(|word| says.contains(word))
        }
        ErrorKind::Server(ServerErrorKind::CrossSlot) => true,
        _ => error.code() == Some("WRONGTYPE"),
    }
}

/// A key that a cluster keeps on the same node as another, for what scripts change together with it.
pub fn beside(key: &str, suffix: &str) -> String {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(|(tag, _)| !tag.is_empty());
    if tag { format!("{key}:{suffix}") } else { format!("{{{key}}}:{suffix}") }
}

impl fmt::Display for Server {
    /// Where it is; neither who we are nor what we say to be let in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, String> {
        let (url, tls) = (Secret(url.into()), Tls::default());
        let timeout = Duration::from_secs(5);
        let (password, db) = (Secret("beside".into()), Some(7));
        Server::new(&Said { url: &url, username: Some("me"), password: Some(&password), db, tls: &tls, timeout })
    }

    #[test]
    fn a_url_says_where_and_who() {
        let of = |url: &str| {
            let server = server(url).unwrap();
            let login = &server.login;
            let who = |text: Option<&str>| text.unwrap_or("-").to_owned();
            (server.to_string(), who(login.username()), who(login.password()), login.db())
        };
        let expected =
            |at: &str, user: &str, password: &str, db| (at.to_owned(), user.to_owned(), password.to_owned(), db);
        assert_eq!(of("redis://ada:p%40ss@host:7000/3"), expected("host:7000", "ada", "p@ss", 3));
        assert_eq!(of("localhost:6380"), expected("localhost:6380", "me", "beside", 7));
        assert_eq!(of("valkey://[::1]"), expected("[::1]:6379", "me", "beside", 7));
        assert_eq!(of("redis+unix:///run/redis.sock?db=2"), expected("/run/redis.sock", "me", "beside", 2));
        assert!(server("localhost").unwrap().is_this_machine() && !server("redis://host").unwrap().is_this_machine());
    }

    #[test]
    fn companions_of_a_key_have_its_hash_tag() {
        assert_eq!(beside("spanlight:events", "w"), "{spanlight:events}:w");
        assert_eq!(beside("a{b}c", "w"), "a{b}c:w");
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for url in ["http://:secret@host", "redis://:secret@", "redis://:secret@host:x", "redis://:secret@host/db"] {
            let error = server(url).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", server("redis://:secret@host").unwrap()).contains("secret"));
    }
}
