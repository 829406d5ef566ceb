//! Reading and writing numpy's .npz: a zip of .npy arrays, stored or deflated.

mod npy;
mod objects;

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::data::Array;

/// Largest sum of the arrays of one file, decompressed.
pub const MAX_BYTES: u64 = 8 << 30;
/// Largest number of arrays of one file.
const MAX_ARRAYS: usize = 4_096;

/// Arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// Reads all arrays of a file.
pub fn read(bytes: &[u8]) -> Result<Arrays, String> {
    read_bounded(bytes, MAX_BYTES)
}

fn read_bounded(bytes: &[u8], limit: u64) -> Result<Arrays, String> {
    if bytes.starts_with(npy::MAGIC) {
        return Err("it is a single array (.npy); save by name with numpy.savez(file, name=array)".into());
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("it is no .npz (zip) file: {e}"))?;
    if zip.len() > MAX_ARRAYS {
        return Err(format!("it holds {} arrays, the limit is {MAX_ARRAYS}", zip.len()));
    }
    let mut left = limit;
    let mut out = Arrays::new();
    for i in 0..zip.len() {
        let entry = zip.by_index(i).map_err(|e| format!("entry {i} cannot be read: {e}"))?;
        let file = entry.name().map_err(|e| format!("entry {i} has no readable name: {e}"))?.into_owned();
        let name = file.strip_suffix(".npy").unwrap_or(&file).to_owned();
        // What the directory states may lie; what is read is counted.
        let mut reader = entry.take(left + 1);
        let array = npy::read(&mut reader, left).map_err(|e| format!("array '{name}': {e}"))?;
        left = reader.limit().saturating_sub(1);
        if out.insert(name.clone(), array).is_some() {
            return Err(format!("array '{name}' is there twice"));
        }
    }
    Ok(out)
}

/// Writes arrays, uncompressed and with fixed times: the same arrays give the same bytes.
pub fn write<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a lockstep_engine::Tensor)>) -> Result<Vec<u8>, String> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, tensor) in arrays {
        let bytes = npy::write(tensor);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(bytes.len() >= u32::MAX as usize);
        zip.start_file(format!("{name}.npy"), options).map_err(|e| format!("array '{name}': {e}"))?;
        zip.write_all(&bytes).map_err(|e| format!("array '{name}': {e}"))?;
    }
    Ok(zip.finish().map_err(|e| e.to_string())?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use lockstep_engine::{Data, Tensor};

    #[test]
    fn what_is_written_is_read() {
        let a = Tensor::new(vec![2, 2], Data::F32(vec![1.0, -2.5, f32::INFINITY, 0.0])).unwrap();
        let b = Tensor::new(vec![], Data::I64(vec![i64::MIN])).unwrap();
        let c = Tensor::new(vec![0, 3], Data::Bool(vec![])).unwrap();
        let bytes = write([("a", &a), ("x/b", &b), ("c", &c)]).unwrap();
        assert_eq!(bytes, write([("a", &a), ("x/b", &b), ("c", &c)]).unwrap());
        let back = read(&bytes).unwrap();
        assert_eq!(back["a"].values, Values::F32(vec![1.0, -2.5, f32::INFINITY, 0.0]));
        assert_eq!((back["x/b"].shape.as_slice(), &back["x/b"].values), (&[][..], &Values::Int(vec![i64::MIN])));
        assert_eq!(back["c"].shape, [0, 3]);
    }

    #[test]
    fn a_zip_bomb_is_refused_by_what_it_holds() {
        let big = Tensor::new(vec![1 << 20], Data::U8(vec![0; 1 << 20])).unwrap();
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("a.npy", SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
        zip.write_all(&npy::write(&big)).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        assert!(bytes.len() < 1 << 14);
        assert!(read_bounded(&bytes, 2 << 20).is_ok());
        assert!(read_bounded(&bytes, 1 << 16).unwrap_err().contains("limit"));
    }

    #[test]
    fn what_is_no_npz_is_refused() {
        assert!(read(b"").is_err());
        assert!(read(b"hello world, this is text").is_err());
        assert!(read(b"\x93NUMPY\x01\x00").unwrap_err().contains("savez"));
    }
}
