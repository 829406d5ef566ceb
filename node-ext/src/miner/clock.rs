//! The dev chain's clock: the machine's, shifted and overridden at will.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// What blocks are stamped with.
#[derive(Debug, Default)]
pub struct Clock {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Inner {
    offset: i128,
    next: Option<u64>,
    interval: Option<u64>,
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shifts the clock forward; returns the whole shift so far.
    pub fn increase(&self, seconds: u64) -> i128 {
        let mut inner = self.lock();
        inner.offset += i128::from(seconds);
        inner.offset
    }

    /// Sets the clock.
    pub fn set(&self, timestamp: u64) {
        self.lock().offset = i128::from(timestamp) - i128::from(machine_time());
    }

    /// Sets the time of the next block only; later ones go on from there.
    pub fn set_next(&self, timestamp: u64) {
        self.lock().next = Some(timestamp);
    }

    /// Sets how many seconds apart blocks are stamped; `None` goes back to the machine's time.
    pub fn set_interval(&self, seconds: Option<u64>) {
        self.lock().interval = seconds;
    }

    /// The time of a block after one at `parent`.
    pub(crate) fn peek(&self, parent: u64) -> u64 {
        let inner = *self.lock();
        let now = i128::from(machine_time()) + inner.offset;
        inner
            .next
            .or(inner.interval.map(|seconds| parent.saturating_add(seconds)))
            .unwrap_or_else(|| u64::try_from(now).unwrap_or(0))
            .max(parent.saturating_add(1))
    }

    /// As [`Clock::peek`], using up what was set for the next block.
    pub(crate) fn take(&self, parent: u64) -> u64 {
        let time = self.peek(parent);
        let mut inner = self.lock();
        if inner.next.take().is_some() {
            inner.offset = i128::from(time) - i128::from(machine_time());
        }
        time
    }
}

fn machine_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_stands_still_or_goes_back() {
        let clock = Clock::default();
        let far = machine_time() + 1_000_000;
        assert_eq!(clock.take(far), far + 1);
        clock.set_next(far + 100);
        assert_eq!(clock.peek(far), far + 100);
        assert_eq!(clock.take(far), far + 100);
        assert!(clock.take(far + 100) > far + 100, "the clock goes on from the time that was set");
        clock.increase(3600);
        assert!(clock.peek(far + 100) >= far + 3700);
    }
}
