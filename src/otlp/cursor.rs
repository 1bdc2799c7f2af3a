//! The records of a batch one after the other, for whoever stops in between and goes on later.

use super::Batch;
use super::view::Group;
use super::wire::Fields;

/// A place among the records of a batch, between two of them.
///
/// As an iterator it gives the records that are left of the group that was entered last.
pub struct Cursor<'a> {
    batch: &'a Batch,
    groups: Box<dyn Iterator<Item = Group<'a>> + 'a>,
    group: Option<Group<'a>>,
    rest: Fields<'a>,
}

impl Batch {
    /// The place before its first record.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { batch: self, groups: Box::new(self.groups()), group: None, rest: Fields::of(&[]) }
    }
}

impl<'a> Cursor<'a> {
    /// The batch.
    pub fn batch(&self) -> &'a Batch {
        self.batch
    }

    /// Goes on in the group where it stopped, or enters the next; nothing when there is none.
    pub fn enter(&mut self) -> Option<Group<'a>> {
        if self.rest.rest().is_empty() {
            self.group = self.groups.next();
            self.rest = Fields::of(self.group.map(Group::raw).unwrap_or_default());
        }
        self.group
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.rest.by_ref().find(|field| field.number == 2)?.value.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Signal;
    use super::super::wire::put_bytes;
    use super::*;
    use proptest::prelude::*;

    /// A request of groups of records; the name of each scope is in front of its records, and that of its schema behind.
    fn request(groups: &[Vec<Vec<u8>>]) -> Batch {
        let mut request = Vec::new();
        for (number, records) in groups.iter().enumerate() {
            let (mut scope, mut resource) = (Vec::new(), Vec::new());
            put_bytes(&mut scope, 1, &[0x0a, 1, b'a' + number as u8]);
            records.iter().for_each(|record| put_bytes(&mut scope, 2, record));
            put_bytes(&mut scope, 3, b"https://example.org/schema");
            put_bytes(&mut resource, 1, &[]);
            put_bytes(&mut resource, 2, &scope);
            put_bytes(&mut request, 1, &resource);
        }
        Batch::encoded(Signal::Traces, request, groups.iter().map(Vec::len).sum())
    }

    proptest! {
        #[test]
        fn every_record_comes_once_wherever_one_stops(
            groups in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..7), 0..5),
            at_a_time in 1..9usize,
        ) {
            let batch = request(&groups);
            let mut cursor = batch.cursor();
            let mut seen = Vec::new();
            while let Some(group) = cursor.enter() {
                let name = group.scope.name.as_str();
                seen.extend(cursor.by_ref().take(at_a_time).map(|record| (name, record)));
            }
            let all = batch.groups().flat_map(|group| group.records().map(move |record| (group.scope.name.as_str(), record)));
            prop_assert_eq!(seen, all.collect::<Vec<_>>());
        }
    }
}
