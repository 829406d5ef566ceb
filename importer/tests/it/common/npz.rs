//! A reader of .npz, as far as the committed test splits need it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// An array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// Its values.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    Text(Vec<String>),
}

/// All arrays of a file, by name.
pub fn read(path: &Path) -> BTreeMap<String, Array> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).expect("test.npz")).expect("an archive");
    (0..archive.len())
        .map(|i| {
            let mut entry = archive.by_index(i).expect("an entry");
            let name = entry.name().expect("a name").trim_end_matches(".npy").to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("an entry's bytes");
            (name, array(&bytes))
        })
        .collect()
}

fn array(b: &[u8]) -> Array {
    assert_eq!(&b[..6], b"\x93NUMPY");
    let (length, start) = match b[6] {
        1 => (usize::from(u16::from_le_bytes([b[8], b[9]])), 10),
        _ => (u32::from_le_bytes([b[8], b[9], b[10], b[11]]) as usize, 12),
    };
    let header = std::str::from_utf8(&b[start..start + length]).expect("a header");
    let data = &b[start + length..];
    assert!(header.contains("'fortran_order': False"), "{header}");
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([':', ' '])).expect("a key");
    let descr = after("'descr'").split('\'').nth(1).expect("a type");
    let shape = after("'shape'").trim_start_matches('(').split(')').next().expect("a shape");
    let shape = shape.split(',').filter_map(|s| s.trim().parse().ok()).collect();
    let values = match descr {
        "<f4" => Values::F32(data.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()),
        "<f8" => Values::F64(data.chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect()),
        "<i8" => Values::I64(data.chunks_exact(8).map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect()),
        text => {
            let width: usize = text.strip_prefix("<U").and_then(|n| n.parse().ok()).expect("a known type");
            let string = |c: &[u8]| {
                c.chunks_exact(4)
                    .filter_map(|c| char::from_u32(u32::from_le_bytes(c.try_into().unwrap())))
                    .take_while(|c| *c != '\0')
                    .collect()
            };
            Values::Text(data.chunks_exact(4 * width).map(string).collect())
        }
    };
    Array { shape, values }
}
