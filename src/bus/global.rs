//! The bus of the process.

use std::sync::OnceLock;

use super::Bus;

static GLOBAL: OnceLock<Bus> = OnceLock::new();

/// The bus of the process. It is that of [`Builder::init`](super::Builder::init), or, where that was not called before, one
/// with the usual limits.
///
/// ```
/// use spanlight::event::Event;
///
/// spanlight::bus::global().publish(Event::agent_spawned("scribe")).unwrap();
/// assert_eq!(spanlight::bus::global().stats().published, 1);
/// ```
pub fn global() -> &'static Bus {
    GLOBAL.get_or_init(Bus::new)
}

pub(super) fn set(bus: Bus) -> Result<&'static Bus, Bus> {
    GLOBAL.set(bus)?;
    Ok(global())
}
