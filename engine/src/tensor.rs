//! Tensors and their types.

use crate::dim::Dim;
use crate::error::OpError;

/// Element types, numbered as in ONNX's `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    /// IEEE-754 binary32.
    F32 = 1,
    /// Unsigned 8 bit.
    U8 = 2,
    /// Signed 8 bit.
    I8 = 3,
    /// Signed 32 bit.
    I32 = 6,
    /// Signed 64 bit.
    I64 = 7,
    /// A byte, 0 or 1.
    Bool = 9,
}

impl DType {
    /// All types.
    pub const ALL: [Self; 6] = [Self::F32, Self::U8, Self::I8, Self::I32, Self::I64, Self::Bool];

    /// The type with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| *t as u8 == code)
    }

    /// Its number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
            Self::U8 | Self::I8 | Self::Bool => 1,
        }
    }

    /// Short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Type and shape of a value; dimensions may be symbolic (in a graph) or all known (in a call).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first.
    pub shape: Vec<Dim>,
}

impl TensorType {
    /// A type.
    pub fn new(dtype: DType, shape: Vec<Dim>) -> Self {
        Self { dtype, shape }
    }

    /// A type whose dimensions are all known.
    pub fn known(dtype: DType, shape: &[usize]) -> Self {
        Self { dtype, shape: shape.iter().map(|d| Dim::Known(*d as u64)).collect() }
    }

    /// Rank.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The dimensions as numbers; an error while one is symbolic.
    pub fn dims(&self) -> Result<Vec<usize>, OpError> {
        self.shape
            .iter()
            .map(|d| match d {
                Dim::Known(n) => usize::try_from(*n).map_err(|_| OpError::new("dimension too large")),
                Dim::Expr(_) => Err(OpError::new("dimension not known")),
            })
            .collect()
    }

    /// Number of elements; `None` while a dimension is symbolic or where it exceeds 2^62.
    pub fn elements(&self) -> Option<u64> {
        let mut n = 1u64;
        for d in &self.shape {
            n = n.checked_mul(d.as_known()?)?;
        }
        (n < 1 << 62).then_some(n)
    }

    /// Bytes; `None` as for [`Self::elements`].
    pub fn bytes(&self) -> Option<u64> {
        self.elements()?.checked_mul(self.dtype.size() as u64)
    }
}

/// The elements of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Data {
    F32(Vec<f32>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::U8(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::U8(_) => DType::U8,
            Self::I8(_) => DType::I8,
            Self::I32(_) => DType::I32,
            Self::I64(_) => DType::I64,
            Self::Bool(_) => DType::Bool,
        }
    }
}

/// Runs `$body` with `$v` bound to the vector inside `$data`, whatever its type.
#[macro_export]
macro_rules! each_dtype {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            $crate::tensor::Data::F32($v) => $crate::tensor::Data::F32($body),
            $crate::tensor::Data::U8($v) => $crate::tensor::Data::U8($body),
            $crate::tensor::Data::I8($v) => $crate::tensor::Data::I8($body),
            $crate::tensor::Data::I32($v) => $crate::tensor::Data::I32($body),
            $crate::tensor::Data::I64($v) => $crate::tensor::Data::I64($body),
            $crate::tensor::Data::Bool($v) => $crate::tensor::Data::Bool($body),
        }
    };
}

/// A dense tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Elements, row-major; their number is the product of the dimensions.
    pub data: Data,
}

impl Tensor {
    /// A tensor; `None` where the number of elements is not the product of the dimensions.
    pub fn new(shape: Vec<usize>, data: Data) -> Option<Self> {
        let n = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
        (n == data.len()).then_some(Self { shape, data })
    }

    /// A tensor without elements; one of the dimensions is 0.
    pub fn empty(dtype: DType, shape: Vec<usize>) -> Self {
        let data = match dtype {
            DType::F32 => Data::F32(Vec::new()),
            DType::U8 => Data::U8(Vec::new()),
            DType::I8 => Data::I8(Vec::new()),
            DType::I32 => Data::I32(Vec::new()),
            DType::I64 => Data::I64(Vec::new()),
            DType::Bool => Data::Bool(Vec::new()),
        };
        Self { shape, data }
    }

    /// A one-dimensional f32 tensor.
    pub fn vector(data: Vec<f32>) -> Self {
        Self { shape: vec![data.len()], data: Data::F32(data) }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// Type with known dimensions.
    pub fn ty(&self) -> TensorType {
        TensorType::known(self.dtype(), &self.shape)
    }

    /// The elements where they are f32.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// The elements where they are i64.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(v) => Some(v),
            _ => None,
        }
    }

    /// Packed little-endian bytes; every NaN as 0x7fc00000 (spec NUM-3).
    pub fn to_le_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len().saturating_mul(self.dtype().size()));
        match &self.data {
            Data::F32(v) => v.iter().for_each(|x| out.extend(crate::float::canonical_bits(*x).to_le_bytes())),
            Data::U8(v) => out.extend_from_slice(v),
            Data::I8(v) => out.extend(v.iter().map(|x| *x as u8)),
            Data::I32(v) => v.iter().for_each(|x| out.extend(x.to_le_bytes())),
            Data::I64(v) => v.iter().for_each(|x| out.extend(x.to_le_bytes())),
            Data::Bool(v) => out.extend(v.iter().map(|x| u8::from(*x))),
        }
        out
    }

    /// A tensor from packed little-endian bytes; `None` where their number does not fit the shape,
    /// or a bool byte is neither 0 nor 1. NaNs become the canonical one.
    pub fn from_le_bytes(dtype: DType, shape: Vec<usize>, bytes: &[u8]) -> Option<Self> {
        let n = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
        if n.checked_mul(dtype.size())? != bytes.len() {
            return None;
        }
        let four = |c: &[u8]| <[u8; 4]>::try_from(c).unwrap_or_default();
        let eight = |c: &[u8]| <[u8; 8]>::try_from(c).unwrap_or_default();
        let data = match dtype {
            DType::F32 => {
                Data::F32(bytes.chunks_exact(4).map(|c| crate::float::canonical(f32::from_le_bytes(four(c)))).collect())
            }
            DType::I32 => Data::I32(bytes.chunks_exact(4).map(|c| i32::from_le_bytes(four(c))).collect()),
            DType::I64 => Data::I64(bytes.chunks_exact(8).map(|c| i64::from_le_bytes(eight(c))).collect()),
            DType::U8 => Data::U8(bytes.to_vec()),
            DType::I8 => Data::I8(bytes.iter().map(|b| *b as i8).collect()),
            DType::Bool => {
                if bytes.iter().any(|b| *b > 1) {
                    return None;
                }
                Data::Bool(bytes.iter().map(|b| *b == 1).collect())
            }
        };
        Some(Self { shape, data })
    }

    /// Position of the first NaN, where there is one.
    pub fn first_nan(&self) -> Option<usize> {
        self.as_f32()?.iter().position(|x| x.is_nan())
    }
}
