//! Whether a request means this machine: a name that was rebound to it must not lead a web page here.

use std::net::IpAddr;

use hyper::{Request, header};

/// What containers call the machine that they run on. These names are never those of the public internet.
const FROM_CONTAINERS: [&str; 3] = ["host.docker.internal", "host.containers.internal", "host.lima.internal"];

/// Whether all names that a request has for its server are of this machine. HTTP/1.0 clients may send none; HTTP/2
/// has it in the URI.
pub fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let named = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    named.chain(request.uri().authority().map(|authority| authority.as_str())).all(names_this_machine)
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']).to_ascii_lowercase();
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
}
