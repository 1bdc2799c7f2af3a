//! How many pieces of work overlap at each time, in blocks, so that a change of a long time looks at few of its steps: an
//! agent that a thousand runs are of at a time has thousands of steps in the last second.

use std::ops::Range;

use crate::event::Timestamp;

/// How many go on from each of some times on until the next one. Neighbours differ where only what was added is taken
/// out, and the last has none.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// In the order of time; none is empty.
    blocks: Vec<Block>,
    /// When each of them begins. This and the next are looked at of many blocks, of which nothing else is.
    begins: Vec<Timestamp>,
    /// The least depth in each of them. Where it is [`Steps::FEW`] and more, it may be less than it could be, since nobody
    /// needs to know exactly.
    least: Vec<u32>,
    len: usize,
}

/// Steps that follow each other.
#[derive(Clone, Debug, Default)]
struct Block {
    /// When each begins, and how much deeper than the least it is.
    steps: Vec<(Timestamp, u32)>,
    /// For how many microseconds it is as little as the least.
    at_least: u64,
}

/// Where a step is.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    at: usize,
}

impl Steps {
    /// A change looks at all steps of two blocks, and at the least of all between them.
    const MOST: usize = 64;
    /// Where so many go on, one more or one less makes no difference to whether any does.
    const FEW: u32 = 2;

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Makes one more or one less of a time; returns for how many microseconds of it there were none before, or are none
    /// any more.
    pub fn change(&mut self, from: Timestamp, to: Timestamp, more: bool) -> u64 {
        let first = self.split(from);
        // Being later, it moves nothing before it.
        let last = self.split(to);
        let changed = if first.block == last.block {
            self.change_part(first.block, first.at..last.at, more)
        } else {
            let rest = first.at..self.blocks[first.block].steps.len();
            self.change_part(first.block, rest, more)
                + self.change_whole(first.block + 1..last.block, more)
                + self.change_part(last.block, 0..last.at, more)
        };
        for place in [last, first] {
            self.tidy(place);
        }
        for block in [last.block, first.block] {
            self.halve(block);
        }
        changed
    }

    /// For how many microseconds of a time there is at least one.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> u64 {
        let blocks = (self.block_of(from)..self.blocks.len()).take_while(|at| self.begins[*at] < to);
        let busy = blocks.map(|at| {
            let (begin, end) = (self.begins[at], self.end(at));
            if from <= begin && end <= to {
                let none = if self.least[at] == 0 { self.blocks[at].at_least } else { 0 };
                return end.micros_since(begin).saturating_sub(none);
            }
            let busy = self.pieces_of(at).filter(|(_, _, depth)| *depth > 0);
            busy.map(|(begin, end, _)| end.min(to).micros_since(begin.max(from))).fold(0, u64::saturating_add)
        });
        busy.fold(0, u64::saturating_add)
    }

    /// When the first one began that goes on after a time.
    pub fn first(&self, since: Timestamp) -> Option<Timestamp> {
        let pieces = self.pieces(self.block_of(since));
        pieces.filter(|(_, end, depth)| *depth > 0 && *end > since).map(|(begin, _, _)| begin).next()
    }

    /// When the last one ended.
    pub fn last(&self) -> Option<Timestamp> {
        self.blocks.last()?.steps.last().map(|(end, _)| *end)
    }

    /// Gives the oldest up, and hands out from when to when there was at least one of them. Returns when what is left
    /// begins.
    pub fn give_up(&mut self, steps: usize, mut busy: impl FnMut(Timestamp, Timestamp)) -> Option<Timestamp> {
        for (begin, end, _) in self.pieces(0).take(steps).filter(|(_, _, depth)| *depth > 0) {
            busy(begin, end);
        }
        let mut left = steps.min(self.len);
        self.len -= left;
        let mut whole = 0;
        while let Some(block) = self.blocks.get(whole).filter(|block| block.steps.len() <= left) {
            left -= block.steps.len();
            whole += 1;
        }
        self.blocks.drain(..whole);
        self.begins.drain(..whole);
        self.least.drain(..whole);
        self.blocks.first_mut()?.steps.drain(..left);
        self.look_over(0);
        self.begins.first().copied()
    }

    /// From when to when, and how many, beginning with a block.
    fn pieces(&self, from: usize) -> impl Iterator<Item = (Timestamp, Timestamp, u32)> {
        (from..self.blocks.len()).flat_map(|at| self.pieces_of(at))
    }

    /// The same of one block.
    fn pieces_of(&self, at: usize) -> impl Iterator<Item = (Timestamp, Timestamp, u32)> {
        let (steps, least, end) = (&self.blocks[at].steps, self.least[at], self.end(at));
        let ends = steps.iter().skip(1).map(|(begin, _)| *begin).chain(std::iter::once(end));
        steps.iter().zip(ends).map(move |((begin, depth), end)| (*begin, end, least.saturating_add(*depth)))
    }

    /// The block that a time is in.
    fn block_of(&self, time: Timestamp) -> usize {
        self.begins.partition_point(|begin| *begin <= time).saturating_sub(1)
    }

    /// When a block ends: where the next one begins.
    fn end(&self, at: usize) -> Timestamp {
        let next = self.begins.get(at + 1).copied();
        next.or_else(|| self.blocks[at].steps.last().map(|(end, _)| *end)).unwrap_or_default()
    }

    /// The step that begins at a time. Its block is not looked over.
    fn split(&mut self, time: Timestamp) -> Place {
        if self.blocks.is_empty() {
            self.insert(0, Block::default(), 0);
        }
        let place = self.block_of(time);
        let at = self.blocks[place].steps.partition_point(|(begin, _)| *begin < time);
        if self.blocks[place].steps.get(at).is_none_or(|(begin, _)| *begin != time) {
            if at == 0 {
                // Only before all others is there nothing before it, and there are none then.
                self.set_least(place, 0);
            }
            let steps = &mut self.blocks[place].steps;
            let depth = if at == 0 { 0 } else { steps[at - 1].1 };
            steps.insert(at, (time, depth));
            self.len += 1;
        }
        Place { block: place, at }
    }

    /// Makes one more or one less of all steps of some blocks, likewise.
    fn change_whole(&mut self, blocks: Range<usize>, more: bool) -> u64 {
        let mut changed = 0;
        for at in blocks {
            let least = self.least[at];
            if more {
                changed += if least == 0 { self.blocks[at].at_least } else { 0 };
                self.least[at] = least.saturating_add(1);
            } else if least > Steps::FEW {
                self.least[at] = least - 1;
            } else {
                changed += self.change_part(at, 0..self.blocks[at].steps.len(), more);
            }
        }
        changed
    }

    /// The same of some steps of a block. Of some there may be none already.
    fn change_part(&mut self, at: usize, part: Range<usize>, more: bool) -> u64 {
        if more && self.least[at] >= Steps::FEW {
            self.blocks[at].steps[part].iter_mut().for_each(|(_, depth)| *depth = depth.saturating_add(1));
            return 0;
        }
        self.set_least(at, 0);
        let (mut changed, end) = (0, self.end(at));
        let steps = &mut self.blocks[at].steps;
        for step in part {
            let (begin, depth) = steps[step];
            let after = if more { depth.saturating_add(1) } else { depth.saturating_sub(1) };
            if (depth == 0) != (after == 0) {
                changed += steps.get(step + 1).map_or(end, |(begin, _)| *begin).micros_since(begin);
            }
            steps[step].1 = after;
        }
        self.look_over(at);
        changed
    }

    /// Takes a step out that changes nothing.
    fn tidy(&mut self, Place { block, at }: Place) {
        let before = match (block, at) {
            (0, 0) => 0,
            (_, 0) => self.depth(block - 1, self.blocks[block - 1].steps.len() - 1),
            _ => self.depth(block, at - 1),
        };
        if self.depth(block, at) != before {
            return;
        }
        let steps = &mut self.blocks[block].steps;
        steps.remove(at);
        self.len -= 1;
        let (is_last, is_empty) = (at == steps.len(), steps.is_empty());
        if is_empty {
            self.blocks.remove(block);
            self.begins.remove(block);
            self.least.remove(block);
        }
        // Between others, the step before it takes over what it was. A block ends where the next begins, so that comes first.
        if at == 0 || is_last {
            for block in (block.saturating_sub(1)..self.blocks.len().min(block + 1)).rev() {
                self.look_over(block);
            }
        }
    }

    /// Makes two of a block that has become too long. Where tidying has moved it, the next change of it does.
    fn halve(&mut self, at: usize) {
        let Some(block) = self.blocks.get_mut(at).filter(|block| block.steps.len() > Steps::MOST) else { return };
        let steps = block.steps.split_off(Steps::MOST / 2);
        self.insert(at + 1, Block { steps, at_least: 0 }, self.least[at]);
        // The first ends where the second begins.
        self.look_over(at + 1);
        self.look_over(at);
    }

    fn insert(&mut self, at: usize, block: Block, least: u32) {
        self.begins.insert(at, block.steps.first().map(|(begin, _)| *begin).unwrap_or_default());
        self.least.insert(at, least);
        self.blocks.insert(at, block);
    }

    fn depth(&self, block: usize, at: usize) -> u32 {
        self.least[block].saturating_add(self.blocks[block].steps[at].1)
    }

    /// Takes note of when a block begins, of its least depth, and of how long it has that.
    fn look_over(&mut self, at: usize) {
        let end = self.end(at);
        let block = &mut self.blocks[at];
        let least = block.steps.iter().map(|(_, depth)| *depth).min().unwrap_or_default();
        let length = |(begin, depth): (Timestamp, u32), end: Timestamp| {
            if depth == least { end.micros_since(begin) } else { 0 }
        };
        let last = block.steps.last().map_or(0, |step| length(*step, end));
        block.at_least = block.steps.windows(2).map(|pair| length(pair[0], pair[1].0)).sum::<u64>() + last;
        self.begins[at] = block.steps.first().map_or(end, |(begin, _)| *begin);
        self.set_least(at, self.least[at].saturating_add(least));
    }

    /// Has steps of a block count from another depth on.
    fn set_least(&mut self, at: usize, least: u32) {
        let before = std::mem::replace(&mut self.least[at], least);
        if before != least {
            for (_, depth) in &mut self.blocks[at].steps {
                *depth = before.saturating_add(*depth).saturating_sub(least);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: usize) -> Timestamp {
        Timestamp::from_micros(micros as i64)
    }

    impl Steps {
        /// What must hold after every change.
        fn is_sound(&self) -> bool {
            let mut again = self.clone();
            (0..self.blocks.len()).for_each(|at| again.look_over(at));
            let is_known = again.begins == self.begins;
            let blocks = (0..self.blocks.len()).all(|at| {
                let (known, exact) = (self.least[at], again.least[at]);
                let is_exact = known == exact && self.blocks[at].at_least == again.blocks[at].at_least;
                let is_small = (1..2 * Steps::MOST).contains(&self.blocks[at].steps.len());
                is_small && (is_exact || (Steps::FEW..=exact).contains(&known))
            });
            let pieces: Vec<_> = self.pieces(0).collect();
            let differ = pieces.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].2 != pair[1].2);
            let begins = pieces.first().is_none_or(|(_, _, depth)| *depth > 0);
            let ends = pieces.last().is_none_or(|(begin, end, depth)| begin == end && *depth == 0);
            is_known && blocks && differ && begins && ends && pieces.len() == self.len
        }
    }

    proptest! {
        #[test]
        fn blocks_are_what_one_row_would_be(changes in proptest::collection::vec((0usize..3000, 1usize..900, any::<bool>()), 0..200)) {
            let mut steps = Steps::default();
            let mut depth = [0u32; 4000];
            let mut known: Vec<(usize, usize)> = Vec::new();
            for (number, (from, len, takes_out)) in changes.into_iter().enumerate() {
                let before = depth.iter().filter(|depth| **depth > 0).count();
                let more = !takes_out || known.is_empty();
                let (from, to) = if more { (from, from + len) } else { known.swap_remove(from % known.len()) };
                let changed = steps.change(at(from), at(to), more);
                depth[from..to].iter_mut().for_each(|depth| if more { *depth += 1 } else { *depth -= 1 });
                if more {
                    known.push((from, to));
                }
                let after = depth.iter().filter(|depth| **depth > 0).count();
                prop_assert_eq!(changed, after.abs_diff(before) as u64);
                prop_assert!(steps.is_sound(), "{} {:?}", number, steps);
                let busy = depth[from..to + 90].iter().filter(|depth| **depth > 0).count();
                prop_assert_eq!(steps.within(at(from), at(to + 90)), busy as u64);
                let first = (from..4000).find(|at| depth[*at] > 0);
                prop_assert_eq!(steps.first(at(from)).map(|first| first.max(at(from))), first.map(at));
            }
            let given_up = steps.len() / 3;
            let mut busy = 0;
            let all = steps.within(at(0), at(4000));
            let rest = steps.give_up(given_up, |from, to| busy += to.micros_since(from));
            prop_assert_eq!(busy + steps.within(at(0), at(4000)), all);
            prop_assert_eq!(rest, steps.begins.first().copied());
        }

        #[test]
        fn what_nobody_added_cannot_be_taken_out(changes in proptest::collection::vec((0usize..300, 1usize..90, any::<bool>()), 0..200)) {
            let mut steps = Steps::default();
            let mut depth = [0u32; 400];
            for (from, len, more) in changes {
                steps.change(at(from), at(from + len), more);
                let part = &mut depth[from..from + len];
                part.iter_mut().for_each(|depth| *depth = if more { *depth + 1 } else { depth.saturating_sub(1) });
                let busy = depth.iter().filter(|depth| **depth > 0).count();
                prop_assert_eq!(steps.within(at(0), at(400)), busy as u64);
            }
        }
    }
}
