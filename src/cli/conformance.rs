//! `spanlight conformance`: whether a receiver keeps the rules of OTLP.

use std::path::PathBuf;

use clap::Args;
use http::{HeaderName, HeaderValue, Uri};
use serde_json::Value;

use super::Failure;
use crate::conformance::{self, Case, Level, Outcome, Peer, Protocol, Report, Target, Tls, Tried, Unmet};
use crate::console::{self, Style, counted};

/// The port of OTLP over gRPC.
const GRPC: u16 = 4317;
/// The port of OTLP over HTTP.
const HTTP: u16 = 4318;

/// `spanlight conformance`
#[derive(Args, Debug)]
pub struct ConformanceArgs {
    /// The receiver: http://host:4318, grpc://host:4317, host:4317, or a host for both; https and grpcs with TLS
    #[arg(value_name = "URL", default_value = "127.0.0.1")]
    receivers: Vec<String>,
    /// Only cases whose name has this text, such as http.json
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// A header of every request
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// The authorities to trust instead of the system's, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Our certificate, as PEM, where the receiver wants one
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Its key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// TLS with whoever answers
    #[arg(long)]
    insecure: bool,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Tries the cases. It ends with 0 if no rule was seen broken, with 1 if one was, and with 2 if there is no receiver.
pub async fn conformance(args: ConformanceArgs) -> Result<(), Failure> {
    let headers = args.headers.iter().map(|header| parse_header(header)).collect::<Result<Vec<_>, _>>()?;
    let tls = Tls {
        insecure_skip_verify: args.insecure,
        ca_file: args.ca_file.clone(),
        cert_file: args.cert_file.clone(),
        key_file: args.key_file.clone(),
        ..Tls::default()
    };
    let mut targets = Vec::new();
    for receiver in &args.receivers {
        for (protocol, url) in parse_receiver(receiver)? {
            targets.push(Target { protocol, url, headers: headers.clone(), tls: tls.clone() });
        }
    }
    let is_meant = |case: &Case| args.only.is_empty() || args.only.iter().any(|text| case.name.contains(text));
    let cases: Vec<Case> = conformance::all().into_iter().filter(is_meant).collect();
    let is_tried = |target: &Target| cases.iter().any(|case| case.protocol() == target.protocol);
    targets.retain(is_tried);
    if targets.is_empty() {
        return Err(Failure::usage("no case for this receiver has such a name; without --only there are all"));
    }
    // Nothing is tried before all are there.
    let mut peers = Vec::new();
    for target in targets {
        peers.push(Peer::reach(target).await.map_err(Failure::usage)?);
    }
    let mut reports = Vec::new();
    for peer in &peers {
        reports.push(try_on(peer, &cases, args.json).await);
    }
    if args.json {
        let reports: Vec<Value> = reports.iter().map(Report::to_json).collect();
        console::output(&serde_json::json!({"receivers": reports}).to_string());
    }
    let broken: usize =
        reports.iter().map(|report| report.tried.iter().filter(|tried| is_failure(tried)).count()).sum();
    match broken {
        0 => Ok(()),
        broken => Err(Failure::new(format!("{} not kept", counted(broken as u64, "rule")))),
    }
}

async fn try_on(peer: &Peer, cases: &[Case], is_quiet: bool) -> Report {
    let colours = console::colours();
    if !is_quiet {
        let title = format!("{}, OTLP {}", peer.target().url, conformance::VERSION);
        console::output(&Style::Bold.paint(&title, colours));
    }
    let report = conformance::run(peer, cases, |tried| {
        if !is_quiet {
            console::output(&line(tried, colours));
        }
    })
    .await;
    if !is_quiet {
        console::output(&summary(&report));
    }
    report
}

fn is_failure(tried: &Tried) -> bool {
    matches!(tried.outcome, Outcome::Failed(_))
}

/// A case in a line; below it, where a rule is broken, what came instead and why that matters.
fn line(tried: &Tried, colours: bool) -> String {
    let Case { name, level, section, rule, matters, .. } = tried.case;
    let (sign, style) = match &tried.outcome {
        Outcome::Passed => ("✓", Style::Green),
        Outcome::Failed(_) if level == Level::Must => ("✗", Style::Red),
        Outcome::Failed(_) => ("✗", Style::Yellow),
        Outcome::NotOffered(_) | Outcome::Skipped(_) => ("-", Style::Dim),
    };
    let mut out = format!("{} {:6} {name}: {rule}", style.paint(sign, colours), level.name());
    match &tried.outcome {
        Outcome::Passed => {}
        Outcome::Skipped(why) => out.push_str(&Style::Dim.paint(&format!(" (skipped: {why})"), colours)),
        Outcome::NotOffered(_) => out.push_str(&Style::Dim.paint(" (not offered)", colours)),
        Outcome::Failed(Unmet { expected, came }) => {
            for (what, text) in [("expected", expected.as_str()), ("came", came), ("so", matters), ("see", section)] {
                out.push_str(&format!("\n    {what:9} {}", console::safe(text)));
            }
        }
    }
    out
}

fn summary(report: &Report) -> String {
    let passed = |level| report.count(level, |outcome| *outcome == Outcome::Passed);
    let tried = |level| report.count(level, |outcome| !matches!(outcome, Outcome::Skipped(_)));
    let of = |level: Level| format!("{} {} of {}", level.name(), passed(level), tried(level));
    let skipped: usize = report.tried.iter().filter(|tried| matches!(tried.outcome, Outcome::Skipped(_))).count();
    format!("{}, {}, {}; {skipped} skipped\n", of(Level::Must), of(Level::Should), of(Level::May))
}

/// Where a receiver is, for each protocol that is meant.
fn parse_receiver(text: &str) -> Result<Vec<(Protocol, Uri)>, Failure> {
    let invalid = || {
        Failure::usage(format!("`{text}` is no receiver; write http://host:{HTTP}, grpc://host:{GRPC} or just a host"))
    };
    let url = |text: String| text.parse::<Uri>().ok().filter(|url| url.host().is_some_and(|host| !host.is_empty()));
    let at = |protocol, url: Option<Uri>| url.map(|url| vec![(protocol, url)]).ok_or_else(invalid);
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let with_port = |rest: &str, port: u16| match url(format!("http://{rest}")) {
        Some(parsed) if parsed.port().is_none() => {
            rest.replacen(parsed.host()?, &format!("{}:{port}", parsed.host()?), 1).into()
        }
        Some(_) => Some(rest.to_owned()),
        None => None,
    };
    match scheme {
        "http" | "https" => at(Protocol::Http, url(text.to_owned())),
        "grpc" => at(Protocol::Grpc, with_port(rest, GRPC).and_then(|rest| url(format!("http://{rest}")))),
        "grpcs" => at(Protocol::Grpc, with_port(rest, GRPC).and_then(|rest| url(format!("https://{rest}")))),
        "" => {
            let parsed = url(format!("http://{rest}")).ok_or_else(invalid)?;
            match parsed.port_u16() {
                Some(GRPC) => at(Protocol::Grpc, Some(parsed)),
                Some(HTTP) => at(Protocol::Http, Some(parsed)),
                Some(_) => Err(invalid()),
                None => Ok([
                    at(Protocol::Http, with_port(rest, HTTP).and_then(|rest| url(format!("http://{rest}"))))?,
                    at(Protocol::Grpc, with_port(rest, GRPC).and_then(|rest| url(format!("http://{rest}"))))?,
                ]
                .concat()),
            }
        }
        _ => Err(invalid()),
    }
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let invalid = || Failure::usage(format!("`{text}` is no header; write NAME=VALUE"));
    let (name, value) = text.split_once('=').ok_or_else(invalid)?;
    let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok((name.trim().parse().map_err(|_| invalid())?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_named_in_many_ways() {
        let parsed = |text: &str| {
            let targets = parse_receiver(text).map_err(|failure| failure.message);
            targets.map(|targets| {
                let text = |(protocol, url): (Protocol, Uri)| format!("{} {url}", protocol.name());
                targets.into_iter().map(text).collect::<Vec<_>>().join(", ")
            })
        };
        for (text, expected) in [
            ("http://host:4318", "http http://host:4318/"),
            ("https://host/base", "http https://host/base"),
            ("grpc://host:1", "grpc http://host:1/"),
            ("grpcs://host", "grpc https://host:4317/"),
            ("host:4317", "grpc http://host:4317/"),
            ("host:4318", "http http://host:4318/"),
            ("host", "http http://host:4318/, grpc http://host:4317/"),
            ("[::1]", "http http://[::1]:4318/, grpc http://[::1]:4317/"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["host:9", "ftp://host", "", "http://"] {
            assert!(parsed(text).unwrap_err().contains("write http://host:4318"), "{text}");
        }
    }
}
