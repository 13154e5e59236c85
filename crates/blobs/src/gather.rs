//! Chunks of any size become blocks of one size.

use archive::gzip::BLOCK_BYTES;
use bytes::{Buf, Bytes};

use crate::memory::{EXTRA_BLOCK_BYTES, Permit, UploadMemory};

/// How many blocks of one upload are in the works at most. Blocks are compressed faster than stores take
/// them: one that is gathered, one that is compressed and one that waits to be sent keep all of them busy.
const MAX_BLOCKS: usize = 3;

/// What a block in the works is accounted to.
#[derive(Debug)]
pub(crate) enum Slot {
    /// The base of the upload, which has room for one.
    Base,
    /// A permit of its own, given back with the block.
    Extra(Permit),
}

/// Cuts the body into blocks of [`BLOCK_BYTES`], the last one shorter, never empty. A block needs a slot
/// before its first byte is taken.
#[derive(Debug)]
pub(crate) struct Gather {
    memory: UploadMemory,
    /// The block that has its place in the base, empty, while it is not in the works.
    base: Option<Vec<u8>>,
    blocks_in_works: usize,
    /// The block that fills.
    filling: Option<(Vec<u8>, Slot)>,
    /// What of the last chunk was not yet put into a block.
    rest: Bytes,
}

impl Gather {
    pub(crate) fn new(memory: UploadMemory) -> Self {
        Self {
            memory,
            base: Some(Vec::with_capacity(BLOCK_BYTES)),
            blocks_in_works: 0,
            filling: None,
            rest: Bytes::new(),
        }
    }

    /// Whether a chunk can be taken in: a block is there to put it into, and the last chunk is used up.
    pub(crate) fn has_room(&mut self) -> bool {
        self.rest.is_empty() && self.ensure_block()
    }

    /// Takes in the next chunk of the body.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.rest = chunk;
    }

    /// The next block that is full, with its slot; `None` if more of the body or a slot is needed first.
    pub(crate) fn next_full(&mut self) -> Option<(Vec<u8>, Slot)> {
        while !self.rest.is_empty() && self.ensure_block() {
            let Some((block, _)) = &mut self.filling else { break };
            let taken = self.rest.len().min(BLOCK_BYTES - block.len());
            block.extend_from_slice(&self.rest[..taken]);
            self.rest.advance(taken);
            if block.len() == BLOCK_BYTES {
                return self.filling.take();
            }
        }
        None
    }

    /// The block that the end of the body leaves unfilled. Call it when all full ones were taken.
    pub(crate) fn last(&mut self) -> Option<(Vec<u8>, Slot)> {
        self.filling.take().filter(|(block, _)| !block.is_empty())
    }

    /// Whether a chunk is not used up, for want of a slot.
    pub(crate) const fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Takes back the slot and the emptied memory of a block that is done.
    pub(crate) fn release(&mut self, slot: Slot, buffer: Vec<u8>) {
        self.blocks_in_works -= 1;
        match slot {
            Slot::Base => self.base = Some(buffer),
            Slot::Extra(permit) => drop((buffer, permit)),
        }
    }

    /// Makes sure, if there is memory for it, that there is a block to fill.
    fn ensure_block(&mut self) -> bool {
        if self.filling.is_none() && self.blocks_in_works < MAX_BLOCKS {
            self.filling = match self.base.take() {
                Some(buffer) => Some((buffer, Slot::Base)),
                None => self
                    .memory
                    .try_extra(EXTRA_BLOCK_BYTES)
                    .map(|permit| (Vec::with_capacity(BLOCK_BYTES), Slot::Extra(permit))),
            };
            self.blocks_in_works += usize::from(self.filling.is_some());
        }
        self.filling.is_some()
    }
}
