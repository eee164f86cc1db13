//! The program's allocator: the system's, with a count of what is in use.
//!
//! Owns: the number of bytes that the whole process has allocated, blocks of the buffer rings
//! included. Never: decides what follows from it.
//!
//! Counting every allocation in one place would put a shared cache line on every request's way. So
//! each thread counts for itself, and adds its count to the process's when that is worth it.
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its nature; this one hands everything to the system's"
)]

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering;

/// What a thread counts for itself before it tells: the process's number is wrong by so much for
/// each thread, at most. A request allocates and frees less.
const UNTOLD_BYTES_MAX: isize = 64 << 10;

static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    // Constant and without a destructor: reading it neither allocates nor fails, not even while
    // the thread begins or ends. What a thread has not told at its end is lost.
    static UNTOLD: Cell<isize> = const { Cell::new(0) };
}

/// Counts what the system's allocator gives out; installed by `main`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

// SAFETY: every call is handed on as it came, and its result back as it is; counting touches
// nothing but a thread's own cell and an atomic number, allocates nothing, and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(block, layout, size) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Counts `bytes` more, or fewer: also those that are mapped without the allocator. (An allocation
/// that fails is counted and ends the process.)
#[inline]
pub(super) fn count(bytes: isize) {
    let untold = UNTOLD.get().wrapping_add(bytes);
    if untold.unsigned_abs() < UNTOLD_BYTES_MAX.unsigned_abs() {
        UNTOLD.set(untold);
    } else {
        UNTOLD.set(0);
        ALLOCATED.fetch_add(untold, Ordering::Relaxed);
    }
}

/// Bytes in use in the whole process, as far as the threads have told.
#[inline]
pub(super) fn allocated() -> usize {
    // Below zero only while a thread has told that it has freed what another has yet to tell.
    usize::try_from(ALLOCATED.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Lets the allocator give free pages in the middle of its heaps back to the system.
pub(super) fn give_back_free_pages() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests count meanwhile; none of them as much as this.
    const NOISE: usize = 256 << 20;

    #[test]
    fn what_threads_count_and_others_take_back_adds_up() {
        const EACH: isize = 1 << 40;
        let before = allocated();
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1 << 10).for_each(|_| count(EACH >> 10))))
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        let grown = allocated() - before;
        assert!(grown.abs_diff(4 * EACH.unsigned_abs()) <= NOISE, "{grown}");
        count(-4 * EACH);
        assert!(allocated().abs_diff(before) <= NOISE);
    }

    #[test]
    fn memory_is_the_systems_and_its_size_is_counted() {
        let sized = |gib: usize| Layout::from_size_align(gib << 30, 64).unwrap();
        let before = allocated();
        // SAFETY: the layouts have a size, and each block is freed with the layout that it has.
        unsafe {
            let block = Counting.alloc(sized(1));
            assert!(!block.is_null() && block.addr() % 64 == 0);
            assert!((allocated() - before).abs_diff(1 << 30) <= NOISE);
            let block = Counting.realloc(block, sized(1), 2 << 30);
            assert!((allocated() - before).abs_diff(2 << 30) <= NOISE);
            Counting.dealloc(block, sized(2));
            let zeroed = Counting.alloc_zeroed(sized(1));
            assert_eq!(*zeroed.add((1 << 30) - 1), 0);
            Counting.dealloc(zeroed, sized(1));
        }
        assert!(allocated().abs_diff(before) <= NOISE);
    }
}
