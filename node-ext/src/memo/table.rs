//! One memory of answers: bounded, single-flight, checked at every hit.
//!
//! What is displaced first is what is cheapest to compute again for the room it takes, and of that the oldest
//! (GreedyDual-Size, Cao and Irani 1997): an attacker who pays for many tiny answers displaces tiny answers.

use alloy_primitives::B256;
use lockstep_engine::ComputeError;
use lockstep_precompile::memo::{Answer, Memo, MemoKey, is_lasting};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// Bytes that an entry takes beside its values: keys in both indexes, counters, allocations.
const ENTRY_BYTES: usize = 400;
/// One answer may take this part of the budget.
const LARGEST_PART: usize = 8;
/// Gas per byte is counted in so many parts.
const RANK_SCALE: u64 = 1 << 16;

/// What a memory has done, and holds.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Answers remembered.
    pub hits: u64,
    /// Answers computed.
    pub misses: u64,
    /// Answers of a computation that another thread had begun.
    pub joined: u64,
    /// Answers displaced.
    pub evicted: u64,
    /// Answers found changed in memory, and computed again.
    pub corrupted: u64,
    /// Answers held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes that may be held.
    pub budget: u64,
}

/// One memory.
pub struct Table {
    inner: Mutex<Inner>,
    budget: AtomicUsize,
    hits: AtomicU64,
    misses: AtomicU64,
    joined: AtomicU64,
    evicted: AtomicU64,
    corrupted: AtomicU64,
}

#[derive(Default)]
struct Inner {
    slots: HashMap<MemoKey, Slot>,
    /// What is displaced first is first.
    order: BTreeMap<Rank, MemoKey>,
    bytes: usize,
    /// Rank of the last one displaced: what comes now ranks above it.
    floor: u64,
    arrivals: u64,
}

/// Gas per byte above the floor, then age.
type Rank = (u64, u64);

enum Slot {
    Kept(Entry),
    Running(Arc<Flight>),
}

struct Entry {
    answer: Answer,
    bytes: usize,
    gas: u64,
    rank: Rank,
}

/// A computation that others may wait for.
#[derive(Default)]
struct Flight {
    landed: Mutex<Option<Landed>>,
    over: Condvar,
}

enum Landed {
    With(Answer),
    /// It panicked, or failed by this node's fault: whoever waits computes for itself.
    Nowhere,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&self.counts()).finish()
    }
}

impl Table {
    /// A memory of so many bytes.
    pub fn new(budget: usize) -> Self {
        Self {
            inner: Mutex::default(),
            budget: budget.into(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            corrupted: AtomicU64::new(0),
        }
    }

    fn budget(&self) -> usize {
        self.budget.load(Relaxed)
    }

    /// From now on it holds so many bytes; what is too much goes with the next answer.
    pub(super) fn set_budget(&self, budget: usize) {
        self.budget.store(budget, Relaxed);
    }

    /// What it has done, and holds.
    pub fn counts(&self) -> Counts {
        let (entries, bytes) = {
            let inner = self.lock();
            (inner.order.len() as u64, inner.bytes as u64)
        };
        Counts {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            joined: self.joined.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            corrupted: self.corrupted.load(Relaxed),
            entries,
            bytes,
            budget: self.budget() as u64,
        }
    }

    /// The answer, if it is held and intact; changes nothing, not even what is displaced next.
    pub(super) fn peek(&self, key: &MemoKey) -> Option<Answer> {
        let answer = match self.lock().slots.get(key)? {
            Slot::Kept(entry) => entry.answer.clone(),
            Slot::Running(_) => return None,
        };
        is_intact(&answer).then_some(answer)
    }

    pub(super) fn count_hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    /// Forgets all answers of a model.
    pub fn forget_model(&self, id: &B256) {
        let mut inner = self.lock();
        let keys: Vec<MemoKey> = inner.order.values().filter(|key| key.model_id == *id).copied().collect();
        for key in keys {
            inner.forget(&key);
        }
    }

    /// Changes the answers of a model that are held, as a fault of the memory would: for proving that it is noticed.
    /// Returns how many were changed.
    pub fn overwrite(&self, id: &B256, change: impl Fn(&Answer) -> Answer) -> usize {
        let mut inner = self.lock();
        let entries = inner.slots.iter_mut().filter(|(key, _)| key.model_id == *id);
        let kept = entries.filter_map(|(_, slot)| match slot {
            Slot::Kept(entry) => Some(entry),
            Slot::Running(_) => None,
        });
        kept.map(|entry| entry.answer = change(&entry.answer)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is held for a key, or who is computing it; otherwise the caller is to.
    fn look_up(&self, key: &MemoKey) -> Found<'_> {
        let mut inner = self.lock();
        match inner.slots.get(key) {
            Some(Slot::Kept(entry)) => {
                let answer = entry.answer.clone();
                inner.touch(key);
                Found::Answer(answer)
            }
            Some(Slot::Running(flight)) => Found::Running(flight.clone()),
            None => {
                let flight = Arc::new(Flight::default());
                inner.slots.insert(*key, Slot::Running(flight.clone()));
                Found::Nothing(Lead { table: self, key: *key, flight, landed: false })
            }
        }
    }
}

impl Memo for Table {
    fn answer(&self, key: MemoKey, gas: u64, compute: &mut dyn FnMut() -> Answer) -> Answer {
        self.answer_while(key, gas, compute, &|| true)
    }
}

impl Table {
    /// As [`Memo::answer`]. What was computed is kept, and given to others, if `holds` says so when it is there: it is asked
    /// under the table's lock, so that what makes it false and forgets the model afterwards leaves nothing behind.
    pub(super) fn answer_while(
        &self,
        key: MemoKey,
        gas: u64,
        compute: &mut dyn FnMut() -> Answer,
        holds: &dyn Fn() -> bool,
    ) -> Answer {
        loop {
            match self.look_up(&key) {
                Found::Answer(answer) if is_intact(&answer) => {
                    self.hits.fetch_add(1, Relaxed);
                    return answer;
                }
                Found::Answer(_) => {
                    self.corrupted.fetch_add(1, Relaxed);
                    tracing::error!(alarm = "memo_corrupted", model = %key.model_id, "a remembered answer has changed in memory: it is computed again; check this machine's memory");
                    self.lock().forget(&key);
                }
                Found::Running(flight) => {
                    if let Some(answer) = flight.wait() {
                        self.joined.fetch_add(1, Relaxed);
                        return answer;
                    }
                }
                Found::Nothing(lead) => {
                    self.misses.fetch_add(1, Relaxed);
                    let answer = compute();
                    lead.land(&answer, gas, holds);
                    return answer;
                }
            }
        }
    }
}

enum Found<'a> {
    Answer(Answer),
    Running(Arc<Flight>),
    Nothing(Lead<'a>),
}

/// The duty to compute: ends by landing, also where the computation panics.
struct Lead<'a> {
    table: &'a Table,
    key: MemoKey,
    flight: Arc<Flight>,
    landed: bool,
}

impl Lead<'_> {
    fn land(mut self, answer: &Answer, gas: u64, holds: &dyn Fn() -> bool) {
        self.landed = true;
        let mut lasting = is_lasting(answer);
        let evicted = {
            let mut inner = self.table.lock();
            lasting &= holds();
            inner.slots.remove(&self.key);
            let bytes = ENTRY_BYTES + size(answer);
            match lasting && bytes <= self.table.budget() / LARGEST_PART {
                true => inner.keep(self.key, answer.clone(), bytes, gas, self.table.budget()),
                false => 0,
            }
        };
        self.table.evicted.fetch_add(evicted, Relaxed);
        self.flight.land(if lasting { Landed::With(answer.clone()) } else { Landed::Nowhere });
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.table.lock().slots.remove(&self.key);
            self.flight.land(Landed::Nowhere);
        }
    }
}

impl Flight {
    fn land(&self, landed: Landed) {
        *self.landed.lock().unwrap_or_else(PoisonError::into_inner) = Some(landed);
        self.over.notify_all();
    }

    fn wait(&self) -> Option<Answer> {
        let guard = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        let landed = self.over.wait_while(guard, |landed| landed.is_none()).unwrap_or_else(PoisonError::into_inner);
        match landed.as_ref() {
            Some(Landed::With(answer)) => Some(answer.clone()),
            _ => None,
        }
    }
}

impl Inner {
    fn rank(&mut self, gas: u64, bytes: usize) -> Rank {
        self.arrivals += 1;
        let worth = gas.saturating_mul(RANK_SCALE) / bytes.max(1) as u64;
        (self.floor.saturating_add(worth), self.arrivals)
    }

    /// Takes an answer in; returns how many were displaced.
    fn keep(&mut self, key: MemoKey, answer: Answer, bytes: usize, gas: u64, budget: usize) -> u64 {
        let mut evicted = 0;
        while self.bytes + bytes > budget {
            let Some((rank, least)) = self.order.first_key_value().map(|(rank, key)| (*rank, *key)) else { break };
            self.floor = self.floor.max(rank.0);
            self.forget(&least);
            evicted += 1;
        }
        let rank = self.rank(gas, bytes);
        self.order.insert(rank, key);
        self.bytes += bytes;
        self.slots.insert(key, Slot::Kept(Entry { answer, bytes, gas, rank }));
        evicted
    }

    /// An answer was wanted: it ranks as if it came now.
    fn touch(&mut self, key: &MemoKey) {
        let Some(Slot::Kept(Entry { bytes, gas, rank, .. })) = self.slots.get(key) else { return };
        let (bytes, gas, old) = (*bytes, *gas, *rank);
        let new = self.rank(gas, bytes);
        self.order.remove(&old);
        self.order.insert(new, *key);
        if let Some(Slot::Kept(entry)) = self.slots.get_mut(key) {
            entry.rank = new;
        }
    }

    fn forget(&mut self, key: &MemoKey) {
        // A computation that runs is another thread's.
        if let Some(Slot::Kept(entry)) = self.slots.get(key) {
            self.bytes -= entry.bytes;
            self.order.remove(&entry.rank);
            self.slots.remove(key);
        }
    }
}

fn is_intact(answer: &Answer) -> bool {
    answer.as_ref().map_or(true, |computed| computed.is_intact())
}

fn size(answer: &Answer) -> usize {
    match answer {
        Ok(computed) => computed
            .outputs
            .iter()
            .map(|t| t.data.len().saturating_mul(t.dtype().size()) + 8 * t.shape.len() + 64)
            .fold(0, usize::saturating_add),
        Err(ComputeError::DimensionConflict { symbol, .. }) => symbol.len(),
        Err(ComputeError::Shape { source, .. }) => source.0.len(),
        Err(_) => 0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use lockstep_engine::{Data, Tensor, error::ValueFault};
    use lockstep_precompile::memo::Computed;
    use std::{sync::Barrier, time::Duration};

    pub(in crate::memo) fn key(n: u8) -> MemoKey {
        MemoKey { model_id: B256::ZERO, inputs: B256::repeat_byte(n) }
    }

    pub(in crate::memo) fn answer(x: f32) -> Answer {
        Ok(Arc::new(Computed::new(vec![Tensor::new(vec![1], Data::F32(vec![x])).unwrap()])))
    }

    fn wide(n: usize) -> Answer {
        Ok(Arc::new(Computed::new(vec![Tensor::new(vec![n], Data::F32(vec![0.5; n])).unwrap()])))
    }

    fn held(table: &Table, n: u8) -> bool {
        table.peek(&key(n)).is_some()
    }

    #[test]
    fn an_answer_and_a_failure_are_computed_once() {
        let table = Table::new(1 << 20);
        let reason = ValueFault::DivisionByZero;
        let failure: Answer = Err(ComputeError::Value { node: 3, operator: "Div", reason });
        for _ in 0..3 {
            assert_eq!(table.answer(key(1), 5, &mut || answer(1.5)), answer(1.5));
            assert_eq!(table.answer(key(2), 5, &mut || failure.clone()), failure);
        }
        let counts = table.counts();
        assert_eq!((counts.hits, counts.misses, counts.entries), (4, 2, 2));
    }

    #[test]
    fn a_fault_of_this_node_is_not_remembered() {
        let table = Table::new(1 << 20);
        let fault: Answer = Err(ComputeError::Environment("flushes to zero"));
        assert_eq!(table.answer(key(1), 5, &mut || fault.clone()), fault);
        assert_eq!(table.answer(key(1), 5, &mut || answer(1.0)), answer(1.0));
    }

    #[test]
    fn equal_calls_at_a_time_are_one_computation() {
        let table = Table::new(1 << 20);
        let (runs, start) = (AtomicU64::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let got = table.answer(key(1), 5, &mut || {
                        runs.fetch_add(1, Relaxed);
                        std::thread::sleep(Duration::from_millis(30));
                        answer(2.5)
                    });
                    assert_eq!(got, answer(2.5));
                });
            }
        });
        let counts = table.counts();
        assert_eq!((runs.into_inner(), counts.misses, counts.hits + counts.joined), (1, 1, 7));
    }

    #[test]
    fn another_key_does_not_wait() {
        let table = Table::new(1 << 20);
        let got = table.answer(key(1), 5, &mut || {
            table.answer(key(2), 5, &mut || answer(2.0)).unwrap();
            answer(1.0)
        });
        assert_eq!(got, answer(1.0));
        assert!(held(&table, 1) && held(&table, 2));
    }

    #[test]
    fn who_waits_for_a_computation_that_panics_computes() {
        let table = Table::new(1 << 20);
        let began = Barrier::new(2);
        std::thread::scope(|scope| {
            let died = scope.spawn(|| {
                table.answer(key(1), 5, &mut || {
                    began.wait();
                    std::thread::sleep(Duration::from_millis(30));
                    panic!("on purpose")
                })
            });
            began.wait();
            assert_eq!(table.answer(key(1), 5, &mut || answer(3.0)), answer(3.0));
            assert!(died.join().is_err());
        });
        assert!(held(&table, 1));
    }

    #[test]
    fn bytes_are_bounded_and_what_is_cheap_for_its_size_goes_first() {
        let entry = ENTRY_BYTES + 4 * 25 + 8 + 64;
        let table = Table::new(entry * 10);
        for n in 0..10 {
            table.answer(key(n), if n == 4 { 10 } else { 1_000 }, &mut || wide(25)).unwrap();
        }
        assert_eq!(table.counts().bytes, entry as u64 * 10);
        table.answer(key(0), 1_000, &mut || panic!("held")).unwrap();
        table.answer(key(20), 1_000, &mut || wide(25)).unwrap();
        assert!(!held(&table, 4), "the cheapest");
        table.answer(key(21), 1_000, &mut || wide(25)).unwrap();
        assert!(!held(&table, 1) && held(&table, 0), "then the oldest that nobody asked for");
        let counts = table.counts();
        assert_eq!((counts.evicted, counts.entries, counts.bytes), (2, 10, entry as u64 * 10));
        // Too much for one: given, not kept.
        table.answer(key(22), u64::MAX, &mut || wide(entry)).unwrap();
        assert!(!held(&table, 22) && table.counts().evicted == 2);
    }

    #[test]
    fn many_cheap_answers_do_not_displace_dear_ones_at_once_and_age_does_in_the_end() {
        let table = Table::new(ENTRY_BYTES * 40);
        table.answer(key(0), 30, &mut || answer(0.0)).unwrap();
        let mut kept = 0;
        for n in 0..2_000u32 {
            let key = MemoKey { model_id: B256::ZERO, inputs: alloy_primitives::keccak256(n.to_le_bytes()) };
            table.answer(key, 1, &mut || answer(1.0)).unwrap();
            kept += u32::from(held(&table, 0));
        }
        assert!((500..1_900).contains(&kept), "{kept}");
    }

    #[test]
    fn an_answer_that_changed_in_memory_is_computed_again() {
        let table = Table::new(1 << 20);
        table.answer(key(1), 5, &mut || answer(1.0)).unwrap();
        let flip = |answer: &Answer| {
            let mut computed = Computed::clone(answer.as_ref().unwrap());
            computed.outputs[0].data = Data::F32(vec![-1.0]);
            Ok(Arc::new(computed))
        };
        assert_eq!(table.overwrite(&B256::ZERO, flip), 1);
        assert_eq!(table.peek(&key(1)), None);
        assert_eq!(table.answer(key(1), 5, &mut || answer(1.0)), answer(1.0));
        assert_eq!(table.answer(key(1), 5, &mut || panic!("held")), answer(1.0));
        let counts = table.counts();
        assert_eq!((counts.corrupted, counts.misses, counts.hits), (1, 2, 1));
    }
}
