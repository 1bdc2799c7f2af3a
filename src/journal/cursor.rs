//! How far consumers have come, and what that keeps from being deleted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::disk::Disk;

/// Whether records wait for a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing it has not read is deleted, except over the limit of size; then it is counted.
    Keeps,
    /// Records go when they are too old or too many, read or not.
    Follows,
}

/// Where a consumer begins that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the oldest record.
    Oldest,
    /// With what comes from now on.
    Head,
}

/// All cursors of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors {
    positions: BTreeMap<String, Position>,
    /// Whether the file has some that are not here any more.
    forgot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    /// The first offset that was not consumed.
    next: u64,
    /// What the file says.
    saved: u64,
    /// Below here the consumer has everything in hand, so that nothing is lost to it with the records.
    taken: u64,
    /// Records that were deleted before it had them.
    unread: u64,
    hold: Hold,
    /// Whether the consumer has come by, and is not only remembered.
    entered: bool,
}

/// What was read of the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded {
    /// There is none: no consumer has come by.
    Nothing,
    /// As it was saved.
    Cursors(Cursors),
    /// It cannot be used; what is wrong with it.
    Broken(String),
}

impl Cursors {
    const NAME: &'static str = "cursors";

    /// Of a journal's directory.
    pub fn load(disk: &dyn Disk, dir: &Path) -> Loaded {
        let path = dir.join(Cursors::NAME);
        let read = || -> io::Result<Vec<u8>> {
            let file = disk.open(&path)?;
            let size = file.size()?.min(1 << 20);
            let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Loaded::Nothing,
            Err(error) => Loaded::Broken(error.to_string()),
            Ok(bytes) => match std::str::from_utf8(&bytes).ok().and_then(Cursors::parse) {
                Some(cursors) => Loaded::Cursors(cursors),
                None => Loaded::Broken("it is not what was written".into()),
            },
        }
    }

    /// Writes the file, and returns once it is durable.
    pub fn write(disk: &dyn Disk, dir: &Path, text: &str) -> io::Result<()> {
        let (path, new) = (dir.join(Cursors::NAME), dir.join("cursors.new"));
        let file = disk.create(&new)?;
        file.write_at(text.as_bytes(), 0)?;
        // Without this, the new name may survive the loss of power, and what it names may not.
        file.sync()?;
        disk.rename(&new, &path)?;
        disk.sync_dir(dir)
    }

    /// Takes note of what the file says now. A cursor may have moved on in between.
    pub fn saved(&mut self, text: &str) {
        let Some(written) = Cursors::parse(text) else { return };
        self.forgot = written.positions.keys().any(|name| !self.positions.contains_key(name));
        for (name, position) in &mut self.positions {
            position.saved = written.positions.get(name).map_or(position.saved, |written| written.next);
        }
    }

    /// What the file should say, if it does not.
    pub fn unsaved(&self) -> Option<String> {
        let moved = self.positions.values().any(|position| position.next != position.saved);
        (moved || self.forgot).then(|| self.text())
    }

    /// Lets a consumer in; a new one begins at `begin`. Whether it comes for the first time since they were loaded.
    pub fn enter(&mut self, name: &str, hold: Hold, begin: u64) -> bool {
        let new = Position { next: begin, saved: u64::MAX, taken: 0, unread: 0, hold, entered: false };
        let position = self.positions.entry(name.to_owned()).or_insert(new);
        position.hold = hold;
        !std::mem::replace(&mut position.entered, true)
    }

    /// Where a consumer is.
    pub fn position(&self, name: &str) -> Option<u64> {
        self.positions.get(name).map(|position| position.next)
    }

    /// The names of those that have come by.
    pub fn entered(&self) -> impl Iterator<Item = &str> {
        self.positions.iter().filter(|(_, position)| position.entered).map(|(name, _)| name.as_str())
    }

    /// Moves a cursor. It never goes back.
    pub fn advance(&mut self, name: &str, to: u64) {
        if let Some(position) = self.positions.get_mut(name) {
            position.next = position.next.max(to);
        }
    }

    /// Takes note that a consumer has everything below an offset in hand, whenever it will be done with it.
    pub fn take(&mut self, name: &str, to: u64) {
        if let Some(position) = self.positions.get_mut(name) {
            position.taken = position.taken.max(to);
        }
    }

    /// How many records were deleted before a consumer had them.
    pub fn unread(&self, name: &str) -> u64 {
        self.positions.get(name).map_or(0, |position| position.unread)
    }

    /// Takes note that this many records of these offsets are deleted. How many of them somebody had not read.
    pub fn deleted(&mut self, offsets: &Range<u64>, records: u64) -> u64 {
        let mut most = 0;
        for position in self.positions.values_mut().filter(|position| position.hold == Hold::Keeps) {
            let has = position.next.max(position.taken).max(offsets.start);
            let unread = offsets.end.saturating_sub(has).min(records);
            position.unread += unread;
            most = most.max(unread);
        }
        most
    }

    /// Forgets a consumer that does not come back.
    pub fn forget(&mut self, name: &str) -> bool {
        let was_known = self.positions.remove(name).is_some();
        self.forgot |= was_known;
        was_known
    }

    /// The first offset that somebody waits for and may ask for after a restart, too.
    pub fn held(&self) -> Option<u64> {
        let holding = self.positions.values().filter(|position| position.hold == Hold::Keeps);
        // What was never saved begins anew after a restart, and so is not given up before it is.
        holding.map(|position| if position.saved == u64::MAX { 0 } else { position.saved }).min()
    }

    /// The largest position.
    pub fn last(&self) -> Option<u64> {
        self.positions.values().map(|position| position.next).max()
    }

    fn text(&self) -> String {
        let mut text = "cursors 1\n".to_owned();
        for (name, position) in &self.positions {
            let hold = if position.hold == Hold::Keeps { "keeps" } else { "follows" };
            // Writing to a string cannot fail.
            writeln!(text, "{} {hold} {name}", position.next).unwrap_or_default();
        }
        let sum = crc32c::crc32c(text.as_bytes());
        text.push_str(&format!("{sum:08x}\n"));
        text
    }

    fn parse(text: &str) -> Option<Cursors> {
        let (body, sum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let body = &text[..=body.len()];
        if u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(body.as_bytes()) {
            return None;
        }
        let mut cursors = BTreeMap::new();
        for line in body.strip_prefix("cursors 1\n")?.lines() {
            let mut words = line.splitn(3, ' ');
            let next = words.next()?.parse().ok()?;
            let hold = if words.next()? == "keeps" { Hold::Keeps } else { Hold::Follows };
            cursors.insert(
                words.next()?.to_owned(),
                Position { next, saved: next, taken: 0, unread: 0, hold, entered: false },
            );
        }
        Some(Cursors { positions: cursors, forgot: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_is_lost_to_those_that_had_not_got_it() {
        let mut cursors = Cursors::default();
        cursors.enter("behind", Hold::Keeps, 10);
        cursors.enter("ahead", Hold::Keeps, 10);
        cursors.enter("passer-by", Hold::Follows, 0);
        cursors.take("ahead", 25);
        assert_eq!(cursors.deleted(&(0..20), 20), 10);
        assert_eq!(cursors.deleted(&(20..30), 7), 7, "three of the offsets have no record");
        assert_eq!(["behind", "ahead", "passer-by", "nobody"].map(|name| cursors.unread(name)), [17, 5, 0, 0]);
        assert_eq!(cursors.position("ahead"), Some(10), "what is in hand is not done with");
    }

    #[test]
    fn cursors_only_go_forward_and_hold_what_is_saved() {
        let mut cursors = Cursors::default();
        assert!(cursors.enter("history", Hold::Keeps, 5));
        assert!(!cursors.enter("history", Hold::Keeps, 9));
        assert_eq!(cursors.position("history"), Some(5));
        assert_eq!(cursors.held(), Some(0), "nothing is saved yet");
        cursors.advance("history", 8);
        cursors.advance("history", 3);
        assert_eq!(cursors.position("history"), Some(8));
        let read = Cursors::parse(&cursors.unsaved().unwrap()).unwrap();
        assert_eq!((read.held(), read.unsaved()), (Some(8), None));
        assert_eq!(Cursors::parse(&cursors.text().replace('8', "7")), None);
        let mut read = read;
        assert!(read.forget("history") && !read.forget("history"));
        let text = read.unsaved().unwrap();
        read.saved(&text);
        assert_eq!((Cursors::parse(&text).unwrap().held(), read.unsaved()), (None, None));
    }
}
