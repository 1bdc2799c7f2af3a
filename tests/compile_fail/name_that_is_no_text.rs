//! A name is something that can be shown.

fn main() {
    let _agent = spanlight::agent_span!(Some("scribe"));
}
