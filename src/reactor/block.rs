//! Blocks of memory that the kernel receives into, and that outlive the batch when they must.
//!
//! Owns: the memory, and how much of it is kept. A block that carries a large value travels on as
//! `Bytes` until the value is sent, then comes back here; what a burst has needed goes back to the
//! system within seconds.
#![expect(
    unsafe_code,
    reason = "maps memory, and reads what the kernel has written there"
)]

use std::cell::Cell;
use std::cell::OnceCell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;

use crate::base::Chunk;
use crate::reactor::allocator;

/// 64 KiB, what one TCP segment on loopback and one receive under load carry at most. Memory is
/// touched page by page, so a block that has only held small requests costs one page.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// 1 MiB of free blocks: what a pass under load takes and gives back.
const FEW: usize = 16;

/// One mapping of [`BLOCK_BYTES`].
#[derive(Debug)]
pub(super) struct Block(NonNull<u8>);

// SAFETY: a block is the only owner of its mapping; there is nothing of a thread in it.
unsafe impl Send for Block {}
// SAFETY: through a shared reference nothing is written.
unsafe impl Sync for Block {}

impl Block {
    fn map() -> std::io::Result<Block> {
        // SAFETY: a fresh private anonymous mapping, which aliases nothing.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCK_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        allocator::count(BLOCK_BYTES.cast_signed());
        NonNull::new(address.cast())
            .map(Block)
            .ok_or_else(std::io::Error::last_os_error)
    }

    /// Where it lies, for the kernel.
    pub(super) fn address(&self) -> *mut u8 {
        self.0.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        allocator::count(-BLOCK_BYTES.cast_signed());
        // SAFETY: mapped by `map` with this size, and nobody has it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), BLOCK_BYTES) };
    }
}

/// Blocks that are free and warm.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    blocks: Vec<Block>,
    // The fewest that have been free since the last trim: nobody has needed these.
    unneeded: usize,
}

impl Blocks {
    /// A block, the warmest one there is.
    pub(super) fn take(&self) -> std::io::Result<Block> {
        let mut free = self.lock();
        let block = free.blocks.pop();
        free.unneeded = free.unneeded.min(free.blocks.len());
        drop(free);
        block.map_or_else(Block::map, Ok)
    }

    fn give(&self, block: Block) {
        self.lock().blocks.push(block);
    }

    /// Gives half of what was not needed since the last trim back to the system; whether there is
    /// more to give.
    pub(super) fn trim(&self) -> bool {
        let mut free = self.lock();
        let surplus = free.unneeded.div_ceil(2);
        let cold: Vec<Block> = free.blocks.drain(..surplus).collect();
        free.unneeded = free.blocks.len();
        let more = !free.blocks.is_empty();
        drop(free);
        drop(cold);
        more
    }

    /// Gives all but a few of the free blocks back to the system now: it is short of memory.
    pub(super) fn give_back(&self) {
        let mut free = self.lock();
        let surplus = free.blocks.len().saturating_sub(FEW);
        let cold: Vec<Block> = free.blocks.drain(..surplus).collect();
        free.unneeded = free.unneeded.min(free.blocks.len());
        drop(free);
        drop(cold);
    }

    /// How much is kept.
    pub(super) fn spare_bytes(&self) -> usize {
        self.lock().blocks.len() * BLOCK_BYTES
    }

    /// Whether any block is kept.
    pub(super) fn keeps_any(&self) -> bool {
        !self.lock().blocks.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A block with received bytes in it, read in place or shared.
pub(super) struct Filled<'a> {
    blocks: &'a Arc<Blocks>,
    // Gone once it is shared: then `shared` keeps it alive.
    block: Cell<Option<Block>>,
    shared: OnceCell<Bytes>,
    address: *const u8,
    len: usize,
}

impl<'a> Filled<'a> {
    /// The first `len` bytes of `block`, into which the kernel has written them.
    pub(super) fn new(block: Block, len: usize, blocks: &'a Arc<Blocks>) -> Filled<'a> {
        assert!(
            len <= BLOCK_BYTES,
            "the kernel says that it wrote more than there is room for"
        );
        let address = block.address();
        Filled {
            blocks,
            block: Cell::new(Some(block)),
            shared: OnceCell::new(),
            address,
            len,
        }
    }

    /// The block, to be received into again, unless somebody keeps its bytes.
    pub(super) fn into_block(self) -> Option<Block> {
        self.block.into_inner()
    }
}

impl Chunk for Filled<'_> {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as `self`, which holds the block or, once shared, the
        // `Bytes` that owns it; its bytes are initialised (the system maps zeros), and the kernel
        // writes there only while the block is in a buffer ring, which it is not.
        unsafe { std::slice::from_raw_parts(self.address, self.len) }
    }

    fn share(&self) -> Bytes {
        let shared = self.shared.get_or_init(|| match self.block.take() {
            Some(block) => {
                let blocks = Arc::clone(self.blocks);
                Bytes::from_owner(Loan {
                    block: Some(block),
                    len: self.len,
                    blocks,
                })
            }
            None => Bytes::new(),
        });
        shared.clone()
    }
}

/// A block away from its ring.
struct Loan {
    block: Option<Block>,
    len: usize,
    blocks: Arc<Blocks>,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        let Some(block) = &self.block else { return &[] };
        // SAFETY: the block lives as long as the loan, its bytes are initialised, and nobody
        // writes there before it has come back to the ring.
        unsafe { std::slice::from_raw_parts(block.address(), self.len) }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.blocks.give(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_block_comes_back_when_its_last_bytes_are_dropped() {
        let blocks = Arc::new(Blocks::default());
        let filled = Filled::new(blocks.take().expect("memory"), 10, &blocks);
        let first = filled.share();
        let part = filled.share().slice(2..5);
        assert_eq!(first.as_ptr(), filled.bytes().as_ptr(), "nothing is copied");
        assert!(filled.into_block().is_none(), "it is away");
        drop(first);
        assert!(!blocks.keeps_any());
        assert_eq!(part.as_ref(), &[0; 3]);
        drop(part);
        assert!(blocks.keeps_any());
    }

    #[test]
    fn a_process_short_of_memory_keeps_few_free_blocks() {
        let blocks = Blocks::default();
        let burst: Vec<Block> = (0..100).map(|_| blocks.take().expect("memory")).collect();
        burst.into_iter().for_each(|block| blocks.give(block));
        blocks.give_back();
        assert_eq!(blocks.lock().blocks.len(), FEW);
    }

    #[test]
    fn what_a_burst_has_needed_goes_back_to_the_system() {
        let blocks = Blocks::default();
        let burst: Vec<Block> = (0..100).map(|_| blocks.take().expect("memory")).collect();
        burst.into_iter().for_each(|block| blocks.give(block));
        let trims = (0..).take_while(|_| blocks.trim()).count();
        assert!((5..10).contains(&trims), "halves: {trims}");
    }
}
