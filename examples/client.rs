//! Listens to the events of a running collector over a WebSocket.
//!
//!     cargo run --example client
//!     cargo run --example client -- 127.0.0.1:3010 '{"agent":"writer","status":["failed","canceled"]}'
//!
//! The second argument is any filter of the API, as JSON. It needs nothing but a library for WebSockets and a parser of
//! JSON, so that it can be written like this in any language.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

/// The last event that came, so that a new connection can go on behind it.
#[derive(Default)]
struct Place {
    epoch: Option<String>,
    offset: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serde_json::Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3010".to_owned());
    let filter = arguments.next().map_or(Ok(json!({})), |filter| serde_json::from_str(&filter))?;
    let mut place = Place::default();
    loop {
        match listen(&address, &filter, &mut place).await {
            Ok(()) => eprintln!("{address}: the connection has ended"),
            Err(error) => eprintln!("{address}: {error}; is a collector running? `cargo run` starts one"),
        }
        // A connection that breaks is made again.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn listen(address: &str, filter: &Value, place: &mut Place) -> Result<(), Error> {
    let (mut socket, _) = connect_async(format!("ws://{address}/ws")).await?;
    // At once: a client that says nothing for 250 ms gets all events from then on.
    let mut hello = json!({"type": "hello", "filter": filter});
    if let Some(epoch) = &place.epoch {
        hello["epoch"] = epoch.as_str().into();
        hello["resume_from"] = place.offset.into();
    }
    socket.send(Message::text(hello.to_string())).await?;
    // Pings are answered by the library as long as messages are read.
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
        match message["type"].as_str().unwrap_or_default() {
            "connection_established" => begin(&message, place),
            "event" => {
                place.offset = message["offset"].as_u64();
                show(&message["event"]);
            }
            "gap" => println!("\x1b[33mevents are missing here: {message}\x1b[0m"),
            "error" => {
                eprintln!("{}", message["message"].as_str().unwrap_or_default());
                std::process::exit(1);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Offsets count within one epoch; a collector that keeps no journal begins another when it is restarted.
fn begin(established: &Value, place: &mut Place) {
    let epoch = established["epoch"].as_str().map(str::to_owned);
    if place.epoch != epoch {
        // Where nothing was seen before, this is what comes before the first event; after a restart all are wanted.
        place.offset = if place.epoch.is_none() { established["offset"].as_u64() } else { None };
        place.epoch = epoch;
    }
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
