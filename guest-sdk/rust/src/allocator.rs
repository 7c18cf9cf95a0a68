//! The notebook's allocator: the standard one with larger alignment for large blocks.
//!
//! A received buffer is a list of bytes, so it is allocated with alignment 1. The typed views can
//! use it in place only when it lies as its numbers want, 16 bytes for decimals. The standard
//! allocator of this target aligns to 8.

use std::alloc::{GlobalAlloc, Layout, System};

/// Smaller blocks stay as they are: a view copies them when they lie wrongly.
const LARGE: usize = 256;
const ALIGNMENT: usize = 16;

struct Aligning;

fn widen(layout: Layout) -> Layout {
    if layout.size() < LARGE {
        return layout;
    }
    layout.align_to(ALIGNMENT).unwrap_or(layout)
}

// SAFETY: every method passes `System` a layout that depends only on the layout it was given, of
// the same size and at least the same alignment. So a block is freed with the layout it was made
// with.
unsafe impl GlobalAlloc for Aligning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise holds for the widened layout.
        unsafe { System.alloc(widen(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise holds for the widened layout.
        unsafe { System.alloc_zeroed(widen(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was made with this layout, widened.
        unsafe { System.dealloc(block, widen(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Ok(wanted), old) = (Layout::from_size_align(size, layout.align()), widen(layout))
        else {
            return std::ptr::null_mut();
        };
        let new = widen(wanted);
        if old.align() == new.align() {
            // SAFETY: the block has layout `old`, and the new block would have its alignment.
            return unsafe { System.realloc(block, old, size) };
        }
        // SAFETY: the new block does not overlap the old one and both have the copied length;
        // the old block has layout `old`.
        unsafe {
            let moved = System.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                System.dealloc(block, old);
            }
            moved
        }
    }
}

#[global_allocator]
static ALLOCATOR: Aligning = Aligning;
