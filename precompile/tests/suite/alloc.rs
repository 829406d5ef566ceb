//! Decoding allocates no more than the call data brought.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use alloy_primitives::B256;
use lockstep_precompile::abi::decode;

use crate::chain::{infer, run, tensor, validate};

struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is a constant-initialised thread local
// without a destructor, which neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.with(|b| b.set(b.get() + layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated_by_decoding(data: &[u8]) -> usize {
    let before = BYTES.with(Cell::get);
    let call = decode(data);
    let after = BYTES.with(Cell::get);
    drop(call);
    after - before
}

#[test]
fn decoding_allocates_less_than_the_call_data() {
    assert_eq!(allocated_by_decoding(&infer(B256::ZERO, &[1.0; 1000])), 0);
    assert_eq!(allocated_by_decoding(&validate(&[7; 5000])), 0);
    let empty = || tensor(lockstep_engine::DType::U8, &[], vec![]);
    for n in [1usize, 5, 1000] {
        let data = run(B256::ZERO, (0..n).map(|_| empty()).collect());
        let bytes = allocated_by_decoding(&data);
        assert!(bytes > 0 && bytes <= data.len(), "{bytes} for {} of call data", data.len());
    }
}

#[test]
fn a_lie_about_a_length_allocates_nothing() {
    // 384 kB that claim a thousand tensors, all at one offset.
    let mut data = run(B256::ZERO, vec![]);
    data.truncate(68);
    data.extend([0; 24]);
    data.extend(12_000u64.to_be_bytes());
    for _ in 0..12_000 {
        data.extend([0; 24]);
        data.extend((32u64 * 12_000).to_be_bytes());
    }
    data.extend([0; 32]);
    assert_eq!(allocated_by_decoding(&data), 0);
}
