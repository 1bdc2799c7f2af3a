//! What a journal remembers of itself beside its records: whether it was closed, and how far it had come.
//!
//! The file has a fixed size and is overwritten where it stands, which a full disk does not prevent.

use std::io;
use std::path::Path;

use uuid::Uuid;

use super::disk::Disk;

/// The state, as it was last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The epoch of the offsets that are handed out.
    pub epoch: Uuid,
    /// The offset behind the last record.
    pub written: u64,
    /// The next offset that was to be handed out.
    pub next: u64,
    /// How it stands.
    pub status: Status,
    /// The run of the operating system in which this was written, if that is known.
    pub boot: Option<String>,
}

/// How a journal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A process has it open, or ended without closing it.
    Open,
    /// Offsets were handed out for records that could not be written, and nobody has closed it since.
    Failing,
    /// It was closed, and everything is in it.
    Closed,
}

impl Status {
    const WORDS: [(Status, &'static str); 3] =
        [(Status::Open, "open"), (Status::Failing, "failing"), (Status::Closed, "closed")];

    fn word(self) -> &'static str {
        Status::WORDS.iter().find(|(status, _)| *status == self).map_or("open", |(_, word)| word)
    }
}

impl State {
    const NAME: &'static str = "state";
    const SIZE: usize = 256;

    /// Of a journal's directory. Nothing if there is none, or none that can be trusted.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Option<State> {
        let file = disk.open(&dir.join(State::NAME)).ok()?;
        let mut bytes = [0; State::SIZE];
        let read = file.read_at(&mut bytes, 0).ok()?;
        State::parse(std::str::from_utf8(bytes.get(..read)?).ok()?)
    }

    /// Returns once it is durable.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let path = dir.join(State::NAME);
        match disk.open(&path) {
            Ok(file) => {
                file.write_at(self.text().as_bytes(), 0)?;
                file.sync()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(&path)?;
                file.write_at(self.text().as_bytes(), 0)?;
                file.sync()?;
                disk.sync_dir(dir)
            }
            Err(error) => Err(error),
        }
    }

    fn text(&self) -> String {
        let State { epoch, written, next, status, boot } = self;
        let boot = boot.as_deref().filter(|boot| boot.len() <= 64 && !boot.contains(char::is_whitespace));
        let body = format!("journal 1 {} {written} {next} {} {}", epoch.simple(), status.word(), boot.unwrap_or("-"));
        let sum = crc32c::crc32c(body.as_bytes());
        format!("{:<width$}\n", format!("{body} {sum:08x}"), width = State::SIZE - 1)
    }

    fn parse(text: &str) -> Option<State> {
        let (body, sum) = text.trim_end().rsplit_once(' ')?;
        if u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(body.as_bytes()) {
            return None;
        }
        let mut words = body.strip_prefix("journal 1 ")?.split(' ');
        let epoch = Uuid::try_parse(words.next()?).ok()?;
        let written = words.next()?.parse().ok()?;
        let next = words.next()?.parse().ok()?;
        let word = words.next()?;
        let status = Status::WORDS.iter().find(|(_, known)| *known == word)?.0;
        let boot = words.next().filter(|boot| *boot != "-").map(str::to_owned);
        Some(State { epoch, written, next, status, boot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_otherwise_not_at_all() {
        let boot = Some("6f1b0d9e-63c0-4d43-8a6d-6d0e3ad63b41".to_owned());
        let state = State { epoch: Uuid::from_u128(7), written: 40, next: 42, status: Status::Failing, boot };
        let text = state.text();
        assert_eq!(text.len(), State::SIZE);
        assert_eq!(State::parse(&text), Some(state.clone()));
        assert_eq!(State::parse(&text.replace("42", "43")), None);
        assert_eq!(State::parse(&text[..60]), None);
        let unknown = State { boot: None, ..state };
        assert_eq!(State::parse(&unknown.text()), Some(unknown));
    }
}
