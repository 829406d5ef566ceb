//! Hashing resident models again, one after the other, and loading again what was found damaged (spec CARE-3).

use super::Care;
use alloy_primitives::B256;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long a model that could not be loaded again waits for the next attempt.
const RETRY: Duration = Duration::from_secs(5);
/// The thread looks up at least so often.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Loads a model again; whether that worked.
type Reload = Box<dyn Fn(B256) -> bool + Send>;

/// The thread.
#[derive(Debug)]
pub struct Scrub {
    care: Arc<Care>,
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Scrub {
    /// Starts it.
    pub(crate) fn start(care: Arc<Care>, reload: Reload) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (inner, stop) = (care.clone(), stopping.clone());
        let run = move || run(&inner, &stop, &reload);
        let thread = std::thread::Builder::new().name("scrub".into()).spawn(run)?;
        Ok(Self { care, stopping, thread: Mutex::new(Some(thread)) })
    }

    /// Ends it after the model being hashed.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.care.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the scrub had panicked");
        }
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(care: &Care, stopping: &AtomicBool, reload: &Reload) {
    let mut last = None;
    let mut hashed = Instant::now();
    let mut tried: Option<Instant> = None;
    while !stopping.load(Ordering::Acquire) {
        let lost: Vec<B256> = {
            let lost = care.lost.lock().unwrap_or_else(PoisonError::into_inner);
            let lost = care.wake.wait_timeout_while(lost, LOOK_UP, |l| l.is_empty()).map(|(l, _)| l);
            lost.unwrap_or_else(|e| e.into_inner().0).iter().copied().collect()
        };
        if !lost.is_empty() && tried.is_none_or(|at| at.elapsed() >= RETRY) {
            tried = None;
            for id in lost {
                if reload(id) {
                    care.reloaded.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    care.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                } else {
                    tried = Some(Instant::now());
                }
            }
        } else if !lost.is_empty() {
            std::thread::sleep(LOOK_UP);
        }
        if care.scrub_every().is_some_and(|every| hashed.elapsed() >= every) {
            hashed = Instant::now();
            last = next(&care.models.ids(), last);
            if let Some(id) = last {
                // What is found is told, and loaded again in the next round.
                let _ = care.check_content(id);
            }
        }
    }
}

/// The first id after `last`, or the first of all.
fn next(ids: &[B256], last: Option<B256>) -> Option<B256> {
    ids.iter().find(|id| Some(**id) > last).or(ids.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_models_have_their_turn() {
        let ids = [1, 2, 3].map(B256::repeat_byte);
        assert_eq!(next(&ids, None), Some(ids[0]));
        assert_eq!(next(&ids, Some(ids[0])), Some(ids[1]));
        assert_eq!(next(&ids, Some(ids[2])), Some(ids[0]));
        assert_eq!(next(&[], Some(ids[2])), None);
    }
}
