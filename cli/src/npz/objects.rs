//! Text in object arrays: what numpy.savez writes for arrays of Python strings.
//!
//! Such an array is a pickle. Loading a pickle runs what it names; here nothing is run: the few instructions that an
//! array of strings takes are read for the strings they carry, and anything else is refused.

use std::rc::Rc;

const REFUSED: &str = "it holds Python objects other than text; save text as numpy.asarray(x, dtype=str)";
/// All text of one array: a short pickle can name one long string many times.
const MAX_TEXT: usize = 256 << 20;
const MAX_STACK: usize = 1 << 24;

/// What an array of strings is made of: numpy's own constructors.
const KNOWN: [(&str, &str); 4] = [
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
];

#[derive(Debug, Clone)]
enum Item {
    Text(Rc<str>),
    List(Vec<Item>),
    Tuple(Vec<Item>),
    Mark,
    /// A number, a constructor, None: of no interest.
    Other,
}

/// The strings of a pickled array of `count` elements, in the array's own order.
pub(super) fn texts(pickle: &[u8], count: usize) -> Result<Vec<String>, String> {
    let mut reader = Reader { bytes: pickle, at: 0, stack: Vec::new(), memo: Vec::new(), found: None };
    while reader.step()? {}
    let list = reader.found.ok_or(REFUSED)?;
    if list.len() != count {
        return Err(format!("it holds {} objects, its shape promises {count}", list.len()));
    }
    let mut total = 0;
    list.into_iter()
        .map(|item| match item {
            Item::Text(t) => {
                total += t.len();
                if total > MAX_TEXT { Err("its text is longer than 256 MiB".into()) } else { Ok(t.to_string()) }
            }
            _ => Err(REFUSED.into()),
        })
        .collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Item>,
    memo: Vec<Item>,
    found: Option<Vec<Item>>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(n).filter(|e| *e <= self.bytes.len()).ok_or("its pickle is cut short")?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    /// A length in so many bytes.
    fn length(&mut self, width: usize) -> Result<usize, String> {
        let mut all = [0u8; 8];
        all[..width].copy_from_slice(self.take(width)?);
        usize::try_from(u64::from_le_bytes(all)).map_err(|_| REFUSED.to_owned())
    }

    fn text(&mut self, width: usize) -> Result<(), String> {
        let n = self.length(width)?;
        let text = std::str::from_utf8(self.take(n)?).map_err(|_| "its text is no Unicode")?;
        self.push(Item::Text(text.into()))
    }

    fn push(&mut self, item: Item) -> Result<(), String> {
        if self.stack.len() >= MAX_STACK {
            return Err(REFUSED.into());
        }
        self.stack.push(item);
        Ok(())
    }

    fn pop(&mut self) -> Result<Item, String> {
        self.stack.pop().ok_or_else(|| REFUSED.to_owned())
    }

    fn down_to_mark(&mut self) -> Result<Vec<Item>, String> {
        let mark = self.stack.iter().rposition(|i| matches!(i, Item::Mark)).ok_or(REFUSED)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn tuple(&mut self, n: usize) -> Result<(), String> {
        let start = self.stack.len().checked_sub(n).ok_or(REFUSED)?;
        let items = self.stack.split_off(start);
        self.push(Item::Tuple(items))
    }

    fn append(&mut self, items: Vec<Item>) -> Result<(), String> {
        match self.stack.last_mut() {
            Some(Item::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(REFUSED.into()),
        }
    }

    /// Remembers the top of the stack; what can grow is not remembered by content, since nothing here refers to it.
    fn memoize(&mut self) -> Result<(), String> {
        let item = match self.stack.last() {
            Some(Item::Text(t)) => Item::Text(t.clone()),
            Some(_) => Item::Other,
            None => return Err(REFUSED.into()),
        };
        self.memo.push(item);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), String> {
        let k = self.length(width)?;
        let item = self.memo.get(k).cloned().ok_or(REFUSED)?;
        self.push(item)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        if KNOWN.contains(&(module, name)) { self.push(Item::Other) } else { Err(REFUSED.into()) }
    }

    /// One instruction of protocols 2 to 4; false at the end.
    fn step(&mut self) -> Result<bool, String> {
        match self.take(1)?[0] {
            0x80 => self.take(1).map(drop)?,                            // PROTO
            0x95 => self.take(8).map(drop)?,                            // FRAME
            b'K' => self.take(1).and_then(|_| self.push(Item::Other))?, // BININT1
            b'M' => self.take(2).and_then(|_| self.push(Item::Other))?, // BININT2
            b'J' => self.take(4).and_then(|_| self.push(Item::Other))?, // BININT
            0x8c => self.text(1)?,                                      // SHORT_BINUNICODE
            b'X' => self.text(4)?,                                      // BINUNICODE
            0x8d => self.text(8)?,                                      // BINUNICODE8
            b'C' => {
                // SHORT_BINBYTES: the type code of an empty array
                let n = self.length(1)?;
                self.take(n)?;
                self.push(Item::Other)?;
            }
            b'N' | 0x88 | 0x89 => self.push(Item::Other)?, // NONE, NEWTRUE, NEWFALSE
            b'(' => self.push(Item::Mark)?,
            b')' => self.push(Item::Tuple(Vec::new()))?,
            b']' => self.push(Item::List(Vec::new()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.down_to_mark()?;
                self.push(Item::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.down_to_mark()?;
                self.append(items)?;
            }
            0x94 => self.memoize()?,
            b'q' => {
                // BINPUT: protocols below 4 number what they remember, in order
                let k = self.length(1)?;
                self.put(k)?;
            }
            b'r' => {
                let k = self.length(4)?;
                self.put(k)?;
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (module, name) {
                    (Item::Text(m), Item::Text(n)) => self.global(&m, &n)?,
                    _ => return Err(REFUSED.into()),
                }
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            b'R' => {
                // REDUCE would call; the result of numpy's constructors is of no interest.
                let (_arguments, _callable) = (self.pop()?, self.pop()?);
                self.push(Item::Other)?;
            }
            b'b' => {
                // BUILD of the array: (version, shape, dtype, order, elements)
                if let Item::Tuple(mut state) = self.pop()?
                    && state.len() == 5
                    && let Some(Item::List(list)) = state.pop()
                {
                    self.found = Some(list);
                }
            }
            b'.' => return Ok(false),
            _ => return Err(REFUSED.into()),
        }
        Ok(true)
    }

    fn put(&mut self, k: usize) -> Result<(), String> {
        if k != self.memo.len() {
            return Err(REFUSED.into());
        }
        self.memoize()
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let n = rest.iter().position(|b| *b == b'\n').ok_or("its pickle is cut short")?;
        let text = std::str::from_utf8(&rest[..n]).map_err(|_| REFUSED)?;
        self.at += n + 1;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What numpy 2 writes for `array([["a", "b"], ["c", "a"]], dtype=object)`.
    fn pickle() -> Vec<u8> {
        let mut p = b"\x80\x04\x95\x9a\0\0\0\0\0\0\0\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94"
            .to_vec();
        p.extend(
            b"\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\0\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02K\x02\x86\x94",
        );
        p.extend(
            b"h\x03\x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xff",
        );
        p.extend(b"J\xff\xff\xff\xffK\x3ft\x94b\x89]\x94(\x8c\x01a\x94\x8c\x01b\x94\x8c\x01c\x94h\x13et\x94b.");
        p
    }

    #[test]
    fn strings_are_read() {
        assert_eq!(texts(&pickle(), 4).unwrap(), ["a", "b", "c", "a"]);
        assert!(texts(&pickle(), 5).is_err());
    }

    #[test]
    fn nothing_else_is() {
        let p = pickle();
        for cut in 0..p.len() {
            assert!(texts(&p[..cut], 4).is_err());
        }
        assert!(texts(b"\x80\x04\x8c\x02os\x8c\x06system\x93.", 0).unwrap_err().contains("other than text"));
        assert!(texts(b"cos\nsystem\n(S'ls'\ntR.", 0).is_err());
        // Every byte changed in turn: no panic, whatever comes.
        for at in 0..p.len() {
            for b in [0u8, b'(', b'e', b't', b'h', 0x94, 0xff] {
                let mut q = p.clone();
                q[at] = b;
                let _ = texts(&q, 4);
            }
        }
    }
}
