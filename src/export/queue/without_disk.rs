//! What stands for queues on disk in a build without the journal: nothing that could be made.

use super::{Bounds, Load, Portion, Taken};

/// Why something would not be written.
pub type CannotWrite = String;

/// There is none.
pub enum DiskQueue {}

/// There is none.
pub enum Writing {}

impl Writing {
    /// There is nothing.
    pub fn items(&self) -> usize {
        match *self {}
    }

    /// There is nothing to wait for.
    pub fn is_waited_for(&self) -> bool {
        match *self {}
    }

    /// There is nothing to wait for.
    pub async fn written(&mut self) -> Result<(), CannotWrite> {
        match *self {}
    }
}

impl DiskQueue {
    /// There is nothing to put in.
    pub fn put(&self, _: &[Load]) -> Result<Writing, CannotWrite> {
        match *self {}
    }

    /// There is nothing to be written.
    pub fn forget(&self, _: Writing) {
        match *self {}
    }

    /// There is nothing to drop.
    pub fn drop_for(&self, _: &CannotWrite, _: usize) {
        match *self {}
    }

    /// There is nothing to keep.
    pub fn kept_although_refused(&self, _: usize) {
        match *self {}
    }

    /// There is nothing to have room for.
    pub fn has_room(&self) -> bool {
        match *self {}
    }

    /// There is nothing to have room for.
    pub async fn room(&self, _: tokio::time::Instant) {
        match *self {}
    }

    /// There is nothing to take out.
    pub async fn pop(&self, _: &Portion) -> Option<Taken> {
        match *self {}
    }

    /// There is nothing to settle.
    pub fn settle(&self, _: u64) {
        match *self {}
    }

    /// There is nothing to hurry.
    pub fn hurry(&self) {
        match *self {}
    }

    /// There is nothing to close.
    pub fn close(&self) {
        match *self {}
    }

    /// There is nothing in it.
    pub fn size(&self) -> (usize, usize) {
        match *self {}
    }

    /// There is nothing to bound.
    pub fn bounds(&self) -> Bounds {
        match *self {}
    }

    /// There is nothing to write down.
    pub async fn end(&self) {
        match *self {}
    }
}
