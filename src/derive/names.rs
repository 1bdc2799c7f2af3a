//! Names that come again and again, kept once.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::dialect::is_same;

/// A name of an agent, a model, a tool …, shared by everything that mentions it.
pub type Name = Arc<str>;

/// The names in use.
#[derive(Debug)]
pub struct Names {
    known: HashSet<Name, RandomState>,
    /// Those that came last, by how they look: most come again at once, and to see that takes no hashing.
    recent: [Name; Names::RECENT],
    sweep_at: usize,
}

impl Names {
    const FIRST_SWEEP: usize = 4096;
    const RECENT: usize = 64;

    /// The shared copy of a name.
    pub fn share(&mut self, name: &str) -> Name {
        let (first, last) = (name.as_bytes().first(), name.as_bytes().last());
        let looks = name.len() ^ usize::from(*first.unwrap_or(&0)) << 1 ^ usize::from(*last.unwrap_or(&0)) << 2;
        let place = looks % Names::RECENT;
        if is_same(self.recent[place].as_bytes(), name.as_bytes()) {
            return self.recent[place].clone();
        }
        let known = self.find_or_keep(name);
        self.recent[place] = known.clone();
        known
    }

    fn find_or_keep(&mut self, name: &str) -> Name {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        if self.known.len() >= self.sweep_at.max(Names::FIRST_SWEEP) {
            self.sweep();
        }
        let name: Name = name.into();
        self.known.insert(name.clone());
        name
    }

    /// Forgets the names that nothing mentions any more. What mentions names is bounded, hence so are they.
    fn sweep(&mut self) {
        self.known.retain(|name| Arc::strong_count(name) > 1);
        self.sweep_at = self.known.len() * 2;
    }
}

impl Default for Names {
    fn default() -> Names {
        let nothing: Name = "".into();
        Names { known: HashSet::default(), recent: std::array::from_fn(|_| nothing.clone()), sweep_at: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_only_while_it_is_used() {
        let mut names = Names::default();
        let kept = names.share("scribe");
        assert!(Arc::ptr_eq(&kept, &names.share("scribe")));
        for number in 0..100_000 {
            names.share(&number.to_string());
        }
        assert!(names.known.len() <= Names::FIRST_SWEEP + 1, "{}", names.known.len());
        assert!(Arc::ptr_eq(&kept, &names.share("scribe")));
    }
}
