//! How far a queue was sent, in a file that is written in place: every step survives the end of the process, so that after
//! kill -9 no more is sent again than was on its way. Only the journal's own cursor survives the loss of power, and may be a
//! second old.

use std::io;
use std::path::Path;

use super::entry::Sum;
use crate::journal::disk::{Disk, DiskFile};

/// How far it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// All below this offset need not be kept any more.
    pub settled: u64,
    /// How much was put in below it.
    pub through: Sum,
    /// All from this offset on was never on its way.
    pub taken: u64,
}

/// The file.
pub struct PlaceFile(Box<dyn DiskFile>);

impl PlaceFile {
    const NAME: &'static str = "sent";

    /// Opens the file of a queue's directory, and reads it. What it says is nothing if it was never written whole.
    pub fn open(disk: &dyn Disk, dir: &Path) -> io::Result<(PlaceFile, Option<Place>)> {
        let path = dir.join(PlaceFile::NAME);
        let file = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(&path)?,
            opened => opened?,
        };
        let mut bytes = [0; 256];
        let read = file.read_at(&mut bytes, 0)?;
        let place = std::str::from_utf8(&bytes[..read]).ok().and_then(Place::parse);
        Ok((PlaceFile(file), place))
    }

    /// Writes it down.
    pub fn write(&self, place: Place) -> io::Result<()> {
        self.0.write_at(place.text().as_bytes(), 0)
    }

    /// Has it survive the loss of power.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

impl Place {
    /// Always of one length, so that nothing of what was there before is left behind it.
    fn text(&self) -> String {
        let Place { settled, through: Sum { requests, items, bytes }, taken } = self;
        let text = format!("sent 1 {settled:020} {taken:020} {requests:020} {items:020} {bytes:020}");
        format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes()))
    }

    fn parse(text: &str) -> Option<Place> {
        let (text, sum) = text.strip_suffix('\n')?.rsplit_once(' ')?;
        if u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
            return None;
        }
        let mut numbers = text.strip_prefix("sent 1 ")?.split(' ').map(|number| number.parse().ok());
        let mut number = || numbers.next().flatten();
        let (settled, taken) = (number()?, number()?);
        Some(Place { settled, taken, through: Sum { requests: number()?, items: number()?, bytes: number()? } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_or_not_at_all() {
        let place = Place { settled: 7, taken: 12, through: Sum { requests: 1, items: 2, bytes: u64::MAX } };
        let text = place.text();
        assert_eq!(Place::parse(&text), Some(place));
        assert_eq!(text.len(), Place::default().text().len());
        assert_eq!(Place::parse(&text.replace('7', "8")), None);
        assert_eq!(Place::parse(&text[..text.len() - 2]), None);
    }
}
