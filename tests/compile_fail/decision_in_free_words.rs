//! Reviews have three outcomes, which metrics know by their words.

use spanlight::event::Event;

fn main() {
    spanlight::emit(Event::review_decided("critic", "rejetced"));
}
