//! Whether a request means this machine: a name that was rebound to it must not lead a web page here.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::{Request, header};

/// What containers call the machine that they run on. These names are never those of the public internet.
const FROM_CONTAINERS: [&str; 3] = ["host.docker.internal", "host.containers.internal", "host.lima.internal"];

/// Endings of names that nobody can register, so that no web page can have one and lead it elsewhere.
const NEVER_PUBLIC: [&str; 6] = [".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test"];

/// The names by which a port may be asked.
#[derive(Clone, Debug)]
pub struct Names {
    reach: Reach,
    allowed: Arc<[String]>,
}

#[derive(Clone, Copy, Debug)]
enum Reach {
    ThisMachine,
    NotPublic,
    Any,
}

impl Names {
    /// Of a port that only programs of this machine can connect to: its names, and those that are allowed.
    pub fn of_this_machine(allowed: &[String]) -> Names {
        Names { reach: Reach::ThisMachine, allowed: allowed.into() }
    }

    /// Of a port of others that asks nobody who they are: addresses and names that no web page can have, and those that
    /// are allowed.
    pub fn not_public(allowed: &[String]) -> Names {
        Names { reach: Reach::NotPublic, allowed: allowed.into() }
    }

    /// Of a port where names tell nothing.
    pub fn any() -> Names {
        Names { reach: Reach::Any, allowed: Arc::default() }
    }

    /// Whether all names that a request has for its server are among them. HTTP/1.0 clients may send none; HTTP/2 has it
    /// in the URI.
    pub fn admit<B>(&self, request: &Request<B>) -> bool {
        let named = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
        named.chain(request.uri().authority().map(|authority| authority.as_str())).all(|host| {
            let name = without_port(host);
            self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
                || match self.reach {
                    Reach::ThisMachine => names_this_machine(host),
                    Reach::NotPublic => is_not_public(name),
                    Reach::Any => true,
                }
        })
    }
}

/// Whether all names that a request has for its server are of this machine.
pub fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    Names::of_this_machine(&[]).admit(request)
}

/// The name in a `Host`, without the brackets of an address.
fn without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_matches(['[', ']'])
}

/// Whether a name is an address, one of a local network, or otherwise none that a stranger could have registered.
fn is_not_public(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_local =
        !name.contains('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_local || name.parse::<IpAddr>().is_ok() || NEVER_PUBLIC.iter().any(|ending| name.ends_with(ending))
}

fn names_this_machine(host: &str) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || FROM_CONTAINERS.contains(&name.as_str())
        || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine() {
        for host in ["localhost:3010", "127.0.0.1:3010", "127.0.0.1", "[::1]:3010", "LOCALHOST", "a.localhost:1"] {
            assert!(names_this_machine(host), "{host}");
        }
        assert!(names_this_machine("host.docker.internal:4318"));
        for host in ["evil.example:3010", "127.0.0.1.evil.example", "192.168.1.2:3010", "localhost.evil", "?"] {
            assert!(!names_this_machine(host), "{host}");
        }
    }

    #[test]
    fn every_name_counts() {
        let of = |uri: &str, host: Option<&str>| {
            let mut request = Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            is_for_this_machine(&request.body(()).unwrap())
        };
        assert!(of("/v1/traces", None) && of("/v1/traces", Some("localhost")) && of("http://localhost/", None));
        assert!(!of("http://evil.example/", None) && !of("http://evil.example/", Some("localhost")));
        assert!(!of("/", Some("evil.example")));
    }

    #[test]
    fn a_port_of_others_takes_names_that_no_web_page_can_have() {
        let of = |host: &str, allowed: &[String]| {
            let request = Request::builder().uri("/").header("host", host).body(()).unwrap();
            Names::not_public(allowed).admit(&request)
        };
        for host in
            ["192.168.1.2:3010", "[fe80::1]:3010", "spanlight:3010", "spanlight", "collector.ns.svc.cluster.local"]
        {
            assert!(of(host, &[]), "{host}");
        }
        assert!(of("host.docker.internal:3010", &[]) && of("localhost", &[]));
        for host in ["evil.example:3010", "192.168.1.2.evil.example", "?", "local.evil", "evil.example.", ""] {
            assert_eq!(of(host, &[]), host.is_empty(), "{host}");
        }
        let allowed = ["Spanlight.Example.com".to_owned()];
        assert!(of("spanlight.example.com:443", &allowed) && !of("example.com", &allowed));
    }
}
