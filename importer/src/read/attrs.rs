//! Attributes of a node. One that nothing looks at refuses the node: what it means is not known.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::error::{Lowered, refuse};
use crate::proto::{AttributeProto, GraphProto, TensorProto, attribute_type as a};

/// Attributes of one node.
pub(crate) struct Attrs<'a> {
    list: &'a [AttributeProto],
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Attrs<'a> {
    pub(crate) fn new(list: &'a [AttributeProto]) -> Self {
        Self { list, used: RefCell::default() }
    }

    fn find(&self, name: &str, types: &[i32]) -> Lowered<Option<&'a AttributeProto>> {
        self.used.borrow_mut().insert(name.to_owned());
        let Some(found) = self.list.iter().find(|x| x.name.as_deref() == Some(name)) else { return Ok(None) };
        // Files of IR version 1 and 2 may leave the type out.
        match found.r#type {
            None | Some(0) => Ok(Some(found)),
            Some(t) if types.contains(&t) => Ok(Some(found)),
            Some(t) => refuse!("attribute '{name}' has type {t}, {types:?} is expected"),
        }
    }

    /// Whether it is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.used.borrow_mut().insert(name.to_owned());
        self.list.iter().any(|x| x.name.as_deref() == Some(name))
    }

    pub(crate) fn int_opt(&self, name: &str) -> Lowered<Option<i64>> {
        Ok(self.find(name, &[a::INT])?.map(|x| x.i.unwrap_or(0)))
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> Lowered<i64> {
        Ok(self.int_opt(name)?.unwrap_or(default))
    }

    /// 0 or 1.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Lowered<bool> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            other => refuse!("attribute '{name}' is {other}, 0 or 1 is expected"),
        }
    }

    pub(crate) fn float_opt(&self, name: &str) -> Lowered<Option<f32>> {
        Ok(self.find(name, &[a::FLOAT])?.map(|x| x.f.unwrap_or(0.0)))
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> Lowered<f32> {
        Ok(self.float_opt(name)?.unwrap_or(default))
    }

    pub(crate) fn string_opt(&self, name: &str) -> Lowered<Option<String>> {
        let Some(x) = self.find(name, &[a::STRING])? else { return Ok(None) };
        match String::from_utf8(x.s.clone().unwrap_or_default()) {
            Ok(s) => Ok(Some(s)),
            Err(_) => refuse!("attribute '{name}' is not UTF-8"),
        }
    }

    pub(crate) fn string(&self, name: &str, default: &str) -> Lowered<String> {
        Ok(self.string_opt(name)?.unwrap_or_else(|| default.to_owned()))
    }

    /// `None` where it is absent; exporters write an empty list for that, too.
    pub(crate) fn ints(&self, name: &str) -> Lowered<Option<&'a [i64]>> {
        Ok(self.find(name, &[a::INTS])?.map(|x| x.ints.as_slice()))
    }

    pub(crate) fn floats(&self, name: &str) -> Lowered<Option<&'a [f32]>> {
        Ok(self.find(name, &[a::FLOATS])?.map(|x| x.floats.as_slice()))
    }

    pub(crate) fn strings(&self, name: &str) -> Lowered<Option<Vec<String>>> {
        let Some(x) = self.find(name, &[a::STRINGS])? else { return Ok(None) };
        let v: Option<Vec<String>> = x.strings.iter().map(|s| String::from_utf8(s.clone()).ok()).collect();
        match v {
            Some(v) => Ok(Some(v)),
            None => refuse!("attribute '{name}' holds a string that is not UTF-8"),
        }
    }

    pub(crate) fn tensor(&self, name: &str) -> Lowered<Option<&'a TensorProto>> {
        Ok(self.find(name, &[a::TENSOR])?.and_then(|x| x.t.as_ref()))
    }

    pub(crate) fn graph(&self, name: &str) -> Lowered<Option<&'a GraphProto>> {
        Ok(self.find(name, &[a::GRAPH])?.and_then(|x| x.g.as_ref()))
    }

    /// These have no influence on the result.
    pub(crate) fn ignore(&self, names: &[&str]) {
        self.used.borrow_mut().extend(names.iter().map(|n| (*n).to_owned()));
    }

    /// An attribute that no one has looked at.
    pub(crate) fn unknown(&self) -> Option<&'a str> {
        let used = self.used.borrow();
        self.list.iter().filter_map(|x| x.name.as_deref()).find(|n| !used.contains(*n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked_and_unread_attributes_found() {
        let list = [
            AttributeProto { name: Some("axis".into()), i: Some(2), r#type: Some(a::INT), ..Default::default() },
            AttributeProto { name: Some("alpha".into()), f: Some(0.5), r#type: Some(a::FLOAT), ..Default::default() },
        ];
        let x = Attrs::new(&list);
        assert_eq!(x.int("axis", 0), Ok(2));
        assert_eq!(x.unknown(), Some("alpha"));
        assert!(x.int("alpha", 0).is_err());
        assert_eq!(x.float("alpha", 0.0), Ok(0.5));
        assert_eq!(x.unknown(), None);
        assert_eq!(x.float("beta", 1.0), Ok(1.0));
    }
}
