//! An array as numpy has it.

/// The first float that no i64 holds.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;

/// Elements, in the widest type of their kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// binary16 and binary32.
    F32(Vec<f32>),
    /// binary64.
    F64(Vec<f64>),
    /// Every integer that fits.
    Int(Vec<i64>),
    /// uint64.
    UInt(Vec<u64>),
    /// bool.
    Bool(Vec<bool>),
    /// Strings.
    Text(Vec<String>),
}

impl Values {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::UInt(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `i` as a float; `None` for text.
    pub fn number(&self, i: usize) -> Option<f64> {
        match self {
            Self::F32(v) => v.get(i).map(|x| f64::from(*x)),
            Self::F64(v) => v.get(i).copied(),
            Self::Int(v) => v.get(i).map(|x| *x as f64),
            Self::UInt(v) => v.get(i).map(|x| *x as f64),
            Self::Bool(v) => v.get(i).map(|x| f64::from(u8::from(*x))),
            Self::Text(_) => None,
        }
    }

    /// Element `i` as an integer, where it is exactly one.
    pub fn integer(&self, i: usize) -> Option<i64> {
        match self {
            Self::Int(v) => v.get(i).copied(),
            Self::UInt(v) => v.get(i).and_then(|x| i64::try_from(*x).ok()),
            Self::Bool(v) => v.get(i).map(|x| i64::from(*x)),
            Self::F32(_) | Self::F64(_) => {
                let x = self.number(i)?;
                (x.fract() == 0.0 && x.abs() < TWO_63).then_some(x as i64)
            }
            Self::Text(_) => None,
        }
    }

    /// Element `i` as text.
    pub fn text(&self, i: usize) -> Option<&str> {
        match self {
            Self::Text(v) => v.get(i).map(String::as_str),
            _ => None,
        }
    }

    /// Whether these are floats.
    pub fn is_float(&self) -> bool {
        matches!(self, Self::F32(_) | Self::F64(_))
    }

    /// The elements at these positions.
    pub fn pick(&self, at: impl Iterator<Item = usize> + Clone) -> Self {
        match self {
            Self::F32(v) => Self::F32(at.map(|i| v[i]).collect()),
            Self::F64(v) => Self::F64(at.map(|i| v[i]).collect()),
            Self::Int(v) => Self::Int(at.map(|i| v[i]).collect()),
            Self::UInt(v) => Self::UInt(at.map(|i| v[i]).collect()),
            Self::Bool(v) => Self::Bool(at.map(|i| v[i]).collect()),
            Self::Text(v) => Self::Text(at.map(|i| v[i].clone()).collect()),
        }
    }
}

/// A dense array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Elements; their number is the product of the dimensions.
    pub values: Values,
    /// numpy's name of the element type.
    pub kind: String,
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Rows along the first axis; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Rows `start..end` along the first axis.
    pub fn slice_rows(&self, start: usize, end: usize) -> Self {
        let width: usize = self.shape.iter().skip(1).product();
        let mut shape = self.shape.clone();
        if let Some(d) = shape.first_mut() {
            *d = end - start;
        }
        Self { shape, values: self.values.pick(start * width..end * width), kind: self.kind.clone() }
    }

    /// The same array in row-major order, where the elements lie in column-major order.
    pub fn into_row_major(self) -> Self {
        let rank = self.shape.len();
        if rank < 2 || self.is_empty() {
            return self;
        }
        let mut strides = vec![1usize; rank];
        for k in 1..rank {
            strides[k] = strides[k - 1] * self.shape[k - 1];
        }
        let mut order = Vec::with_capacity(self.len());
        let mut index = vec![0usize; rank];
        for _ in 0..self.len() {
            order.push(index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>());
            for k in (0..rank).rev() {
                index[k] += 1;
                if index[k] < self.shape[k] {
                    break;
                }
                index[k] = 0;
            }
        }
        let values = self.values.pick(order.into_iter());
        Self { values, ..self }
    }
}
