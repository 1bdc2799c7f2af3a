//! What systemd is told of a service of `Type=notify`: that it is ready, that it still turns, and that it stops
//! (`sd_notify(3)`).

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Whoever started this program and wants to hear of it.
pub struct Service {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it wants to hear that we are still there.
    pub watchdog: Option<Duration>,
}

impl Service {
    /// Whom the environment names, if anybody.
    pub fn of_environment() -> Option<Service> {
        let address = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())?;
        match Service::at(&address) {
            Ok(service) => Some(service),
            Err(error) => {
                crate::report::warn(&format!("NOTIFY_SOCKET: {address:?} cannot be told anything: {error}"));
                None
            }
        }
    }

    fn at(address: &OsString) -> io::Result<Service> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => abstract_address(name)?,
            _ => SocketAddr::from_pathname(address)?,
        };
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|micros| micros.parse().ok());
        // Twice in the time within which it wants to hear of us.
        let watchdog = micros.filter(|micros| *micros > 1).map(|micros: u64| Duration::from_micros(micros / 2));
        Ok(Service { socket: UnixDatagram::unbound()?, address, watchdog })
    }

    /// Everything is open that will be.
    pub fn is_ready(&self) {
        self.say("READY=1");
    }

    /// The program still turns.
    pub fn is_alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// It was told to end.
    pub fn stops(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, what: &str) {
        if let Err(error) = self.socket.send_to_addr(what.as_bytes(), &self.address) {
            crate::report::warn(&format!("NOTIFY_SOCKET: systemd could not be told {what}: {error}"));
        }
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}
