//! Making an event is not yet telling it.
#![deny(unused_must_use)]

use spanlight::event::Event;

fn main() {
    Event::agent_started("scribe").task("t-17");
}
