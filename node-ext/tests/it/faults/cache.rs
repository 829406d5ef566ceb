//! Models on disk and their sources: flipped bits, lies, ends and silence.

use super::*;
use crate::common::affine_model;
use lockstep_engine::{DType, Data, Limits, LoadedModel, Model, Tensor, exec::Options};
use lockstep_node_ext::cache::{
    Cache, CacheError, FetchOptions, Part, fetch,
    source::{Directory, Http, Peer, Source, SourceError},
};
use std::{
    cell::Cell,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
};

const WIDTH: usize = 30_000;

/// A model of ten leaves, and a cache that holds it.
fn filled() -> (tempfile::TempDir, B256, Vec<u8>) {
    let values: Vec<f32> = (0..WIDTH).map(|i| i as f32 + 1.0).collect();
    let file = affine_model(&values, &values);
    let dir = tempfile::tempdir().unwrap();
    let id = Cache::open(dir.path(), None).unwrap().add(&file, &Limits::default()).unwrap();
    (dir, id, file)
}

/// What the model of these sections answers for ones.
fn answer(graph: &[u8], weights: Vec<u8>) -> Vec<u8> {
    let limits = Limits::default();
    let model = LoadedModel::new(Model::from_sections(graph, weights, Vec::new(), &limits).unwrap(), &limits).unwrap();
    let plan = model.plan(&[(DType::F32, &[1, WIDTH])], &limits).unwrap();
    let x = Tensor::new(vec![1, WIDTH], Data::F32(vec![1.0; WIDTH])).unwrap();
    model.run(&plan, vec![x], &Options::default()).unwrap()[0].to_le_bytes()
}

fn get(cache: &Cache, sources: &[&dyn Source], id: B256) -> Result<lockstep_node_ext::cache::Fetched, CacheError> {
    fetch(cache, sources, id, &FetchOptions { attempts: 1, ..Default::default() }, &mut |_| {})
}

/// A source whose answers are changed, or end.
struct Bad<'a>(&'a dyn Source, &'a dyn Fn(Part, u64, Vec<u8>) -> Result<Vec<u8>, SourceError>);

impl Source for Bad<'_> {
    fn name(&self) -> String {
        "a bad source".into()
    }

    fn read(&self, id: B256, part: Part, from: u64, most: u64) -> Result<Vec<u8>, SourceError> {
        (self.1)(part, from, self.0.read(id, part, from, most)?)
    }
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[byte] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_model_goes_in_is_listed_read_and_evicted() {
    let (dir, id, file) = filled();
    let cache = Cache::open(dir.path(), None).unwrap();
    assert!(matches!(Cache::open(dir.path(), None), Err(CacheError::Busy(_))));
    let all = cache.list().unwrap();
    assert_eq!((all.len(), all[0].id, all[0].pinned), (1, id, false));
    assert!(all[0].bytes > 8 * WIDTH as u64 && all[0].bytes < file.len() as u64 + 1_000);
    assert_eq!(cache.read(id).unwrap().id, id);
    cache.pin(id, true).unwrap();
    assert!(matches!(cache.evict(id), Err(CacheError::Pinned(_))));
    cache.pin(id, false).unwrap();
    cache.evict(id).unwrap();
    assert!(matches!(cache.read(id), Err(CacheError::Absent(_))));
}

#[test]
fn a_bit_flipped_in_the_cache_is_found_and_the_model_fetched_again() {
    let (dir, id, _) = filled();
    let (mirror, ..) = filled();
    let cache = Cache::open(dir.path(), None).unwrap();
    let sound = cache.read(id).unwrap();
    let expected = answer(&sound.graph, sound.weights);
    let path = dir.path().join(id.to_string()).join("weights");
    flip(&path, 77_003);
    // Without the check the file would load, and answer something else.
    assert_ne!(answer(&sound.graph, std::fs::read(&path).unwrap()), expected, "the fault is one");
    let error = cache.read(id).unwrap_err();
    assert!(matches!(&error, CacheError::Damaged { reason, .. } if reason.starts_with("leaf 3 ")), "{error}");
    assert!(!cache.contains(id), "it was set aside");
    get(&cache, &[&Directory(mirror.path().into())], id).unwrap();
    let again = cache.read(id).unwrap();
    assert_eq!(answer(&again.graph, again.weights), expected);
    // Graph and leaves are no better.
    for (part, byte) in [("graph", 40), ("leaves", 70)] {
        flip(&dir.path().join(id.to_string()).join(part), byte);
        assert!(matches!(cache.read(id), Err(CacheError::Damaged { .. })), "{part}");
        get(&cache, &[&Directory(mirror.path().into())], id).unwrap();
    }
    tell(
        "bit flipped in the cache on disk",
        "the leaf's hash when the model is read; it is set aside and fetched again",
        "nothing",
    );
}

#[test]
fn a_bit_flipped_in_a_peers_bytes_is_found_and_the_next_source_goes_on() {
    let (mirror, id, file) = filled();
    let models = tempfile::tempdir().unwrap();
    std::fs::write(models.path().join("model.lsm"), file).unwrap();
    let node = Running::start(NodeConfig { models_dir: Some(models.path().to_path_buf()), ..Default::default() });
    let peer = Peer::new(&format!("http://{}", node.handle().http_addr()), Duration::from_secs(20));
    let given = std::cell::RefCell::new(Vec::new());
    let lie = |part, _, mut bytes: Vec<u8>| {
        if part == Part::Weights {
            bytes[100_002] ^= 0x10;
            given.replace(bytes.clone());
        }
        Ok(bytes)
    };
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), None).unwrap();
    let fetched = get(&cache, &[&Bad(&peer, &lie), &peer], id).unwrap();
    assert_eq!(fetched.troubles.len(), 1);
    assert!(fetched.troubles[0].contains("leaf 4 "), "{:?}", fetched.troubles);
    let got = cache.read(id).unwrap();
    assert_eq!(got.weights, Cache::open(mirror.path(), None).unwrap().read(id).unwrap().weights);
    // Without the check what the first one gave would have been taken, and would answer something else.
    assert_ne!(answer(&got.graph, given.take()), answer(&got.graph, got.weights));
    // A peer that gives another model's graph and leaves is found before a byte of weights is asked for.
    let other = affine_model(&[1.0; 3], &[1.0; 3]);
    let others = tempfile::tempdir().unwrap();
    let wrong = Cache::open(others.path(), None).unwrap().add(&other, &Limits::default()).unwrap();
    std::fs::rename(others.path().join(wrong.to_string()), others.path().join(id.to_string())).unwrap();
    cache.evict(id).unwrap();
    let error = get(&cache, &[&Directory(others.path().into())], id).unwrap_err();
    assert!(error.to_string().contains(&wrong.to_string()), "{error}");
    tell("bit flipped in a peer's bytes", "the leaf's hash on arrival; the next source goes on from there", "nothing");
}

#[test]
fn a_source_that_stalls_is_left_for_the_next() {
    let (mirror, id, _) = filled();
    let graph = std::fs::read(mirror.path().join(id.to_string()).join("graph")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // It gives the graph, then headers and half of what they promise, and then it is silent.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0u8; 2048];
            let read = stream.read(&mut request).unwrap_or(0);
            let whole = String::from_utf8_lossy(&request[..read]).contains("/graph ");
            let body = if whole { &graph[..] } else { &graph[..graph.len() / 2] };
            let head =
                format!("HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", graph.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            open.push(stream);
        }
    });
    let stall = Duration::from_millis(500);
    let (silent, mirror) = (Http::new(&url, stall), Directory(mirror.path().into()));
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), None).unwrap();
    let began = Instant::now();
    let fetched = get(&cache, &[&silent, &mirror], id).unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(fetched.troubles[0].contains("stalls"), "{:?}", fetched.troubles);
    cache.read(id).unwrap();
    // Without the limit it is waited for.
    let patient = Http::new(&url, Duration::from_secs(3_600));
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(patient.read(id, Part::Leaves, 0, 1 << 20).is_ok()));
    assert!(waits.recv_timeout(3 * stall).is_err(), "it is still waiting");
    tell("stalled source", "a request without an answer in time; the next source is asked", "nothing");
}

#[test]
fn a_download_that_ended_is_gone_on_with() {
    let (mirror, id, _) = filled();
    let source = Directory(mirror.path().into());
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), None).unwrap();
    // It ends in the middle of the sixth leaf.
    let ends = |part, _, mut bytes: Vec<u8>| {
        if part == Part::Weights {
            bytes.truncate(5 * 24_512 + 1_000);
        }
        Ok(bytes)
    };
    assert!(matches!(get(&cache, &[&Bad(&source, &ends)], id), Err(CacheError::Sources { .. })));
    assert!(!cache.contains(id) && cache.list().unwrap().is_empty(), "what is not whole has no name");
    // A bit of what was kept flips meanwhile.
    flip(&dir.path().join(format!("{id}.part")).join("weights"), 3 * 24_512 + 5);
    let asked = Cell::new(u64::MAX);
    let watch = |part, from, bytes| {
        if part == Part::Weights {
            asked.set(asked.get().min(from));
        }
        Ok(bytes)
    };
    let fetched = get(&cache, &[&Bad(&source, &watch)], id).unwrap();
    assert_eq!((fetched.resumed, asked.get()), (3 * 24_512, 3 * 24_512), "from the first leaf that is not right");
    cache.read(id).unwrap();
}

#[test]
fn what_was_used_longest_ago_makes_room_and_pinned_models_never() {
    let dir = tempfile::tempdir().unwrap();
    let file = |scale: f32| affine_model(&vec![scale; 1_000], &vec![1.0; 1_000]);
    let cache = Cache::open(dir.path(), Some(27_000)).unwrap();
    let limits = Limits::default();
    let add = |scale| {
        std::thread::sleep(Duration::from_millis(15));
        cache.add(&file(scale), &limits)
    };
    let [a, b, c] = [1.0, 2.0, 3.0].map(|scale| add(scale).unwrap());
    std::thread::sleep(Duration::from_millis(15));
    cache.read(a).unwrap();
    let d = add(4.0).unwrap();
    let there = |ids: &[B256]| ids.iter().map(|id| cache.contains(*id)).collect::<Vec<_>>();
    assert_eq!(there(&[a, b, c, d]), [true, false, true, true], "b was used longest ago");
    cache.pin(a, true).unwrap();
    cache.pin(c, true).unwrap();
    let e = add(5.0).unwrap();
    assert_eq!(there(&[a, c, d, e]), [true, true, false, true]);
    cache.pin(e, true).unwrap();
    let error = add(6.0).unwrap_err();
    assert!(matches!(error, CacheError::Room { .. }), "{error}");
}

/// What is no model takes room too: it counts, and goes first.
#[test]
fn what_was_set_aside_and_what_was_never_finished_counts_and_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = |scale: f32| affine_model(&vec![scale; 1_000], &vec![1.0; 1_000]);
    let limits = Limits::default();
    let cache = Cache::open(dir.path(), Some(27_000)).unwrap();
    let (a, b) = (cache.add(&file(1.0), &limits).unwrap(), cache.add(&file(2.0), &limits).unwrap());
    // One is damaged, and a download of a third ends early.
    flip(&dir.path().join(a.to_string()).join("weights"), 9);
    assert!(cache.read(a).is_err());
    let (other, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let c = Cache::open(source.path(), None).unwrap().add(&file(3.0), &limits).unwrap();
    let source = Directory(source.path().into());
    let ends = |part, _, mut bytes: Vec<u8>| {
        if part == Part::Weights {
            bytes.truncate(100);
        }
        Ok(bytes)
    };
    assert!(get(&cache, &[&Bad(&source, &ends)], c).is_err());
    let leftovers = cache.leftovers().unwrap();
    let kinds: Vec<_> = leftovers.iter().map(|l| (l.id, l.damaged)).collect();
    assert_eq!(kinds, [(a, true), (c, false)]);
    assert!(leftovers[0].bytes > 8_000, "{leftovers:?}");
    // Two more models: what was set aside makes room, and no model has to.
    let [d, e] = [4.0, 5.0].map(|scale| cache.add(&file(scale), &limits).unwrap());
    assert!([b, d, e].iter().all(|id| cache.contains(*id)));
    assert!(!cache.leftovers().unwrap().iter().any(|l| l.damaged), "the damaged one went first");
    // A download goes on with what is there, which is not counted twice.
    get(&cache, &[&source], c).unwrap();
    assert!([c, d, e].iter().all(|id| cache.contains(*id)) && cache.leftovers().unwrap().is_empty());
    // Without a budget a person cleans.
    drop(cache);
    let cache = Cache::open(other.path(), None).unwrap();
    assert!(get(&cache, &[&Bad(&source, &ends)], c).is_err());
    assert!(cache.clean().unwrap() > 0);
    assert!(cache.leftovers().unwrap().is_empty());
}
