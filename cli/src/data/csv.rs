//! Tables: one column a feature, and optionally `y` and `expected:<output>` (`expected:<output>[k]` for its column k).

use std::collections::BTreeMap;

use lockstep_engine::Graph;

use super::{Array, Values, rows};
use crate::npz::Arrays;

/// What a cell without a value holds.
const MISSING: [&str; 5] = ["", "nan", "na", "n/a", "null"];

/// Reads a table with a header line.
pub(crate) fn read(bytes: &[u8], graph: &Graph) -> Result<Arrays, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let headings: Vec<String> =
        reader.headers().map_err(|e| format!("its header line: {e}"))?.iter().map(str::to_owned).collect();
    if let [only] = headings.as_slice()
        && let Some(mark) = [';', '\t', '|'].into_iter().find(|c| only.contains(*c))
    {
        return Err(format!("its columns are separated by {mark:?}: write it with commas, and points in numbers"));
    }
    if headings.len() > 1 && headings.iter().all(|h| h.parse::<f64>().is_ok()) {
        return Err("its first line holds numbers: the names of the columns are expected there".into());
    }
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); headings.len()];
    for record in reader.records() {
        let record = record.map_err(|e| e.to_string())?;
        for (column, cell) in cells.iter_mut().zip(record.iter()) {
            column.push(cell.to_owned());
        }
    }
    let features = rows::columns(graph).unwrap_or_default();
    let mut out = Arrays::new();
    let mut parts: BTreeMap<String, BTreeMap<usize, Array>> = BTreeMap::new();
    for (name, column) in headings.into_iter().zip(cells) {
        let feature = features.iter().find(|f| f.name == name);
        let narrow = feature.is_some();
        let textual = feature.is_some_and(|f| !f.categories.is_empty());
        let shape = vec![column.len()];
        let values = if textual { Values::Text(column) } else { parse(column, narrow) };
        let array = Array { shape, values, kind: "csv".into() };
        match column_of(&name) {
            Some((whole, k)) => {
                parts.entry(whole.to_owned()).or_default().insert(k, array);
            }
            None => {
                if out.insert(name.clone(), array).is_some() {
                    return Err(format!("column '{name}' is there twice"));
                }
            }
        }
    }
    for (name, columns) in parts {
        out.insert(name.clone(), join(&name, columns)?);
    }
    Ok(out)
}

/// `expected:probability[1]` as ("expected:probability", 1).
fn column_of(name: &str) -> Option<(&str, usize)> {
    let (whole, rest) = name.strip_suffix(']')?.rsplit_once('[')?;
    whole.starts_with("expected:").then_some((whole, rest.parse().ok()?))
}

fn join(name: &str, columns: BTreeMap<usize, Array>) -> Result<Array, String> {
    let width = columns.len();
    if columns.keys().copied().ne(0..width) {
        return Err(format!("the columns '{name}[k]' must count from 0 without gaps"));
    }
    let length = columns.values().next().map_or(0, Array::len);
    let mut values = Vec::with_capacity(length * width);
    for row in 0..length {
        for array in columns.values() {
            values.push(array.values.number(row).ok_or_else(|| format!("'{name}' holds text"))?);
        }
    }
    Ok(Array { shape: vec![length, width], values: Values::F64(values), kind: "csv".into() })
}

/// Integers where all cells are, else floats (rounded once: f32 where the model takes f32), else text.
fn parse(column: Vec<String>, narrow: bool) -> Values {
    let missing = |c: &String| MISSING.contains(&c.to_ascii_lowercase().as_str());
    if let Ok(v) = column.iter().map(|c| c.parse()).collect() {
        return Values::Int(v);
    }
    if narrow && let Ok(v) = column.iter().map(|c| if missing(c) { Ok(f32::NAN) } else { c.parse() }).collect() {
        return Values::F32(v);
    }
    if let Ok(v) = column.iter().map(|c| if missing(c) { Ok(f64::NAN) } else { c.parse() }).collect() {
        return Values::F64(v);
    }
    Values::Text(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_the_type_of_their_cells() {
        let text = "a,b,c,expected:p[0],expected:p[1],y\n1,0.5,x,0.25,0.75,1\n2,NA,y,1,0,0\n";
        let t = read(text.as_bytes(), &Graph::default()).unwrap();
        assert_eq!(t["a"].values, Values::Int(vec![1, 2]));
        assert_eq!(t["b"].values.number(0), Some(0.5));
        assert!(t["b"].values.number(1).unwrap().is_nan());
        assert_eq!(t["c"].values.text(1), Some("y"));
        assert_eq!(t["expected:p"].shape, [2, 2]);
        assert_eq!(t["expected:p"].values, Values::F64(vec![0.25, 0.75, 1.0, 0.0]));
        assert!(read(b"a,a\n1,2\n", &Graph::default()).unwrap_err().contains("twice"));
        assert!(read(b"a,b\n1\n", &Graph::default()).is_err());
    }

    #[test]
    fn tables_of_other_habits_are_told() {
        let refused = |text: &str| read(text.as_bytes(), &Graph::default()).unwrap_err();
        assert!(refused("a;b\n1,5;2\n").contains("separated by ';'"));
        assert!(refused("a\tb\n1\t2\n").contains("separated by"));
        assert!(refused("0.5,1.5\n1,2\n").contains("first line holds numbers"));
        assert_eq!(read(b"7\n1\n", &Graph::default()).unwrap()["7"].values, Values::Int(vec![1]));
    }
}
