//! Attributes of operators in the graph section: each field in order, nothing optional.

use super::codec::{Reader, Writer};
use crate::dim::Dim;
use crate::error::Error;
use crate::tensor::DType;

/// A value that stands in the graph section.
pub trait Attribute: Sized {
    /// Appends the encoding.
    fn write(&self, w: &mut Writer);
    /// Reads it back; refuses anything but the canonical encoding.
    fn read(r: &mut Reader<'_>) -> Result<Self, Error>;
}

macro_rules! primitive {
    ($($t:ty = $method:ident),+) => {$(
        impl Attribute for $t {
            fn write(&self, w: &mut Writer) {
                w.$method(*self);
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
                r.$method()
            }
        }
    )+};
}

primitive!(u8 = u8, u16 = u16, u32 = u32, u64 = u64, i64 = i64, f32 = f32, bool = bool);

impl Attribute for Dim {
    fn write(&self, w: &mut Writer) {
        w.dim(self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.dim()
    }
}

impl Attribute for DType {
    fn write(&self, w: &mut Writer) {
        w.u8(self.code());
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let code = r.u8()?;
        Self::from_code(code).ok_or_else(|| r.error("a data type is 1, 2, 3, 6, 7 or 9"))
    }
}

impl<T: Attribute> Attribute for Vec<T> {
    fn write(&self, w: &mut Writer) {
        w.list(self, |w, i| i.write(w));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.list(T::read)
    }
}

/// A struct whose fields are attributes, with its encoding.
#[macro_export]
macro_rules! attributes {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$fdoc:meta])* pub $field:ident: $t:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$fdoc])* pub $field: $t),* }

        impl $crate::format::Attribute for $name {
            fn write(&self, _w: &mut $crate::format::Writer) {
                $($crate::format::Attribute::write(&self.$field, _w);)*
            }
            fn read(_r: &mut $crate::format::Reader<'_>) -> Result<Self, $crate::error::Error> {
                Ok(Self { $($field: $crate::format::Attribute::read(_r)?),* })
            }
        }
    };
}

/// An enumeration stored as one byte.
#[macro_export]
macro_rules! attribute_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code),+ }

        impl $name {
            /// All of them, by ascending code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl $crate::format::Attribute for $name {
            fn write(&self, w: &mut $crate::format::Writer) {
                w.u8(*self as u8);
            }
            fn read(r: &mut $crate::format::Reader<'_>) -> Result<Self, $crate::error::Error> {
                match r.u8()? {
                    $($code => Ok(Self::$variant),)+
                    _ => Err(r.error(concat!("an unknown ", stringify!($name)))),
                }
            }
        }
    };
}
