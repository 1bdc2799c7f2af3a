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
    len: usize,
}

/// Steps that follow each other.
#[derive(Clone, Debug)]
struct Block {
    /// When the first step does. It stands here, too, so that whoever looks for a block need not look into others.
    begin: Timestamp,
    /// When each begins, and how much deeper than `base` it is.
    steps: Vec<(Timestamp, i64)>,
    base: i64,
    /// The least depth.
    least: i64,
    /// For how many microseconds it is as little as that.
    at_least: u64,
}

/// Where a step is.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    at: usize,
}

impl Steps {
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
        let mut changed = 0;
        for at in first.block..=last.block {
            if first.block < at && at < last.block && self.blocks[at].may_change(more) {
                changed += self.blocks[at].change(more);
                continue;
            }
            let end = self.end(at);
            let block = &mut self.blocks[at];
            let from = if at == first.block { first.at } else { 0 };
            let to = if at == last.block { last.at } else { block.steps.len() };
            changed += block.change_part(from..to, more, end);
        }
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
        let first = self.block_of(from);
        let blocks = self.blocks.iter().enumerate().skip(first).take_while(|(_, block)| block.begin < to);
        let busy = blocks.map(|(at, block)| {
            let (begin, end) = (block.begin, self.end(at));
            if from <= begin && end <= to {
                let none = if block.least == 0 { block.at_least } else { 0 };
                return end.micros_since(begin).saturating_sub(none);
            }
            let busy = block.pieces(end).filter(|(_, _, depth)| *depth > 0);
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
        let end = (!self.blocks.is_empty()).then(|| self.end(0))?;
        let block = &mut self.blocks[0];
        block.steps.drain(..left);
        block.look_over(end);
        Some(block.begin)
    }

    /// From when to when, and how many, beginning with a block.
    fn pieces(&self, from: usize) -> impl Iterator<Item = (Timestamp, Timestamp, i64)> {
        let blocks = self.blocks.iter().enumerate().skip(from);
        blocks.flat_map(|(at, block)| block.pieces(self.end(at)))
    }

    /// The block that a time is in.
    fn block_of(&self, time: Timestamp) -> usize {
        self.blocks.partition_point(|block| block.begin <= time).saturating_sub(1)
    }

    /// When a block ends: where the next one begins.
    fn end(&self, block: usize) -> Timestamp {
        let next = self.blocks.get(block + 1).map(|block| block.begin);
        next.or_else(|| self.blocks[block].steps.last().map(|(end, _)| *end)).unwrap_or_default()
    }

    /// The step that begins at a time. Blocks are not looked over.
    fn split(&mut self, time: Timestamp) -> Place {
        if self.blocks.is_empty() {
            self.blocks.push(Block { begin: time, steps: Vec::new(), base: 0, least: 0, at_least: 0 });
        }
        let place = self.block_of(time);
        let block = &mut self.blocks[place];
        let at = block.steps.partition_point(|(begin, _)| *begin < time);
        if block.steps.get(at).is_none_or(|(begin, _)| *begin != time) {
            // Only before all others is there nothing before it, and there are none then.
            let depth = if at == 0 { -block.base } else { block.steps[at - 1].1 };
            block.steps.insert(at, (time, depth));
            block.begin = block.begin.min(time);
            self.len += 1;
        }
        Place { block: place, at }
    }

    /// Takes a step out that changes nothing.
    fn tidy(&mut self, Place { block, at }: Place) {
        let before = match (block, at) {
            (0, 0) => 0,
            (_, 0) => self.blocks[block - 1].depth(self.blocks[block - 1].steps.len() - 1),
            _ => self.blocks[block].depth(at - 1),
        };
        if self.blocks[block].depth(at) != before {
            return;
        }
        self.blocks[block].steps.remove(at);
        self.len -= 1;
        if self.blocks[block].steps.is_empty() {
            self.blocks.remove(block);
        }
        // Between others, the step before it takes over what it was. A block ends where the next begins, so that comes first.
        if at == 0 || self.blocks.get(block).is_none_or(|block| at == block.steps.len()) {
            for block in (block.saturating_sub(1)..self.blocks.len().min(block + 1)).rev() {
                let end = self.end(block);
                self.blocks[block].look_over(end);
            }
        }
    }

    /// Makes two of a block that has become too long.
    fn halve(&mut self, at: usize) {
        let Some(block) = self.blocks.get_mut(at).filter(|block| block.steps.len() > Block::MOST) else { return };
        let steps = block.steps.split_off(Block::MOST / 2);
        let second = Block { steps, ..*block };
        self.blocks.insert(at + 1, second);
        // The first ends where the second begins.
        for at in [at + 1, at] {
            let end = self.end(at);
            self.blocks[at].look_over(end);
        }
    }
}

impl Block {
    /// A change looks at all steps of two blocks, and at all blocks between them.
    const MOST: usize = 64;

    fn depth(&self, at: usize) -> i64 {
        self.base + self.steps[at].1
    }

    /// From when to when, and how many.
    fn pieces(&self, end: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp, i64)> {
        let ends = self.steps.iter().skip(1).map(|(begin, _)| *begin).chain(std::iter::once(end));
        self.steps.iter().zip(ends).map(|((begin, depth), end)| (*begin, end, self.base + depth))
    }

    /// Whether all steps can change alike: there is never less than none.
    fn may_change(&self, more: bool) -> bool {
        more || self.least > 0
    }

    /// Makes one more or one less of all steps, likewise.
    fn change(&mut self, more: bool) -> u64 {
        let changed = if self.least == i64::from(!more) { self.at_least } else { 0 };
        let change = if more { 1 } else { -1 };
        self.base += change;
        self.least += change;
        changed
    }

    /// The same of some of them, of which there may be none already.
    fn change_part(&mut self, part: Range<usize>, more: bool, end: Timestamp) -> u64 {
        let mut changed = 0;
        for at in part {
            let (begin, depth) = (self.steps[at].0, self.depth(at));
            let after = if more { depth + 1 } else { (depth - 1).max(0) };
            if (depth == 0) != (after == 0) {
                let end = self.steps.get(at + 1).map_or(end, |(begin, _)| *begin);
                changed += end.micros_since(begin);
            }
            self.steps[at].1 = after - self.base;
        }
        self.look_over(end);
        changed
    }

    /// Takes note of when it begins, and of the least depth.
    fn look_over(&mut self, end: Timestamp) {
        self.begin = self.steps.first().map_or(self.begin, |(begin, _)| *begin);
        let (mut least, mut at_least) = (i64::MAX, 0u64);
        for (begin, end, depth) in self.pieces(end) {
            if depth < least {
                (least, at_least) = (depth, 0);
            }
            if depth == least {
                at_least += end.micros_since(begin);
            }
        }
        (self.least, self.at_least) = (least, at_least);
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
            let blocks = self.blocks.iter().enumerate().all(|(at, block)| {
                let mut again = block.clone();
                again.look_over(self.end(at));
                let is_small = (1..2 * Block::MOST).contains(&block.steps.len());
                is_small
                    && (again.begin, again.least, again.at_least) == (block.begin, block.least, block.at_least)
                    && block.least >= 0
            });
            let pieces: Vec<_> = self.pieces(0).collect();
            let differ = pieces.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].2 != pair[1].2);
            let begins = pieces.first().is_none_or(|(_, _, depth)| *depth > 0);
            let ends = pieces.last().is_none_or(|(begin, end, depth)| begin == end && *depth == 0);
            blocks && differ && begins && ends && pieces.len() == self.len
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
            prop_assert_eq!(rest, steps.blocks.first().map(|block| block.begin));
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
