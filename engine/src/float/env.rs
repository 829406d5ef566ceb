//! The floating-point environment that LS1 needs: round to nearest, subnormals kept, no traps.

/// Checks this thread's floating-point environment. A wrong one (a library in the process set
/// flush-to-zero, say) is a fault of this node and is reported, not repaired.
pub fn check() -> Result<(), &'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let mut csr: u32 = 0;
        // SAFETY: stmxcsr stores 4 bytes at the given address, which is a live, aligned u32.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut csr, options(nostack, preserves_flags)) };
        if csr & !0x3f != 0x1f80 {
            return Err("MXCSR is not the default (rounding mode, flush-to-zero or unmasked exceptions)");
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let fpcr: u64;
        // SAFETY: reading FPCR has no side effect.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack, preserves_flags)) };
        // Rounding mode 22-23, FZ 24, DN 25, FZ16 19, AH 1, FIZ 0, NEP 2.
        if fpcr & ((3 << 22) | (1 << 24) | (1 << 25) | (1 << 19) | 0b111) != 0 {
            return Err("FPCR is not the default (rounding mode, flush-to-zero or default-NaN)");
        }
    }
    Ok(())
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #[test]
    fn flush_to_zero_is_noticed() {
        std::thread::spawn(|| {
            super::check().unwrap();
            let ftz: u32 = 0x1f80 | 0x8000;
            // SAFETY: loads a valid control word on this thread only, which ends with the test.
            unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const ftz) };
            assert!(super::check().is_err());
        })
        .join()
        .unwrap();
    }
}
