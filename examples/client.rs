//! Listens to the events of a running collector, over the server-sent events that it streams.
//!
//!     cargo run --example client
//!     cargo run --example client -- 127.0.0.1:3010 'agent=writer&status=failed'
//!
//! The second argument is any filter of the API. It needs nothing but the standard library and a parser of JSON, so that
//! it can be written like this in any language.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{BufRead, BufReader, Error, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3010".to_owned());
    let filter = arguments.next().map(|filter| format!("?{filter}")).unwrap_or_default();
    let mut last_id = None;
    loop {
        // A connection that breaks is made again, and goes on behind the last event that came.
        if let Err(error) = listen(&address, &filter, &mut last_id) {
            eprintln!("{address}: {error}; is a collector running? `cargo run` starts one");
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

fn listen(address: &str, filter: &str, last_id: &mut Option<String>) -> Result<(), Error> {
    let mut stream = TcpStream::connect(address)?;
    let resume = last_id.iter().map(|id| format!("Last-Event-ID: {id}\r\n")).collect::<String>();
    write!(stream, "GET /api/v1/stream{filter} HTTP/1.0\r\nHost: {address}\r\n{resume}\r\n")?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next().transpose()?.unwrap_or_default();
    if !status.contains(" 200 ") {
        let said = lines.map_while(Result::ok).last().unwrap_or_default();
        eprintln!("{status}: {said}");
        std::process::exit(1);
    }
    let mut kind = String::new();
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some(("id", id)) => *last_id = Some(id.to_owned()),
            Some(("event", name)) => kind = name.to_owned(),
            Some(("data", data)) if kind == "gap" => println!("\x1b[33mevents are missing here: {data}\x1b[0m"),
            Some(("data", data)) => {
                let message: Value = serde_json::from_str(data)?;
                show(&message["event"]);
            }
            // An empty line ends an event; a line that begins with a colon keeps the connection alive.
            _ => kind.clear(),
        }
    }
    Ok(())
}

fn show(event: &Value) {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let colour = match (text("type"), text("scope")) {
        ("failed", _) => 31,
        ("canceled", _) => 33,
        ("completed", _) => 32,
        (_, "llm_request") => 36,
        (_, "tool") => 35,
        _ => 34,
    };
    let time = text("timestamp").get(11..19).unwrap_or_default();
    let cost = event["performance"]["cost_usd"].as_f64().map(|usd| format!("${usd:.4}")).unwrap_or_default();
    let said = event["data"]["chunk"].as_str().unwrap_or(text("message"));
    println!(
        "\x1b[2m{time}\x1b[0m \x1b[{colour}m{:<20}\x1b[0m {:<28} {:<16} {cost:<8} {}",
        text("name"),
        text("component_id"),
        text("feature"),
        said.replace(char::is_control, " "),
    );
}
