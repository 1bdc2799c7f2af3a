//! A name alone is no event; `emit_event` takes names, with a payload.

fn main() {
    spanlight::emit("agent_started");
}
