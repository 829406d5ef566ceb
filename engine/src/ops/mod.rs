//! The operators: one file per family with attributes, shape rule, work and reference kernel.
//!
//! Adding one: `docs/adding-an-operator.md`.

pub mod arg_reduce;
pub mod binary;
pub mod bit_cast;
pub mod cast;
pub mod compare;
pub mod concat;
pub mod contraction;
pub mod conv;
pub mod cumulate;
pub mod expand;
pub mod gather;
pub mod gather_elements;
pub mod gather_nd;
pub mod integer;
pub mod pad;
pub mod pairwise_coupling;
pub mod pool;
pub mod quantized;
pub mod reduce;
pub mod require;
pub mod reshape;
pub mod scatter;
pub mod select;
pub mod shape;
pub mod slice;
pub mod softmax;
pub mod top_k;
pub mod transpose;
pub mod tree;
pub mod unary;

use crate::cost::Work;
use crate::dim::Bindings;
use crate::error::{Error, OpError, ValueFault};
use crate::format::{Attribute, Reader, Writer};
use crate::tensor::{Tensor, TensorType};

/// What every operator defines. An absent optional operand is `None`.
pub trait Operator {
    /// Smallest and largest number of operands.
    fn arity(&self) -> (usize, usize);

    /// Types of the outputs; refuses operands and attributes that have no meaning together.
    /// Called with symbols at load and with numbers for each call; must not panic on either.
    /// Attributes that hold dimensions are resolved by `symbols`.
    fn infer(&self, inputs: &[Option<&TensorType>], symbols: &Bindings<'_>) -> Result<Vec<TensorType>, OpError>;

    /// Work at these types, all of whose dimensions are known.
    fn work(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Work;

    /// Bytes this operator needs besides its operands and outputs, all dimensions known.
    fn scratch(&self, _inputs: &[Option<&TensorType>], _outputs: &[TensorType]) -> u64 {
        0
    }

    /// Checks operands that are constants of the model, when its weights are loaded.
    fn check_constants(&self, _inputs: &[Option<&Tensor>]) -> Result<(), OpError> {
        Ok(())
    }

    /// The plain scalar computation: reads like the specification. Operands fit `infer`;
    /// `outputs` are the types it gave.
    fn reference(&self, inputs: &[Option<&Tensor>], outputs: &[TensorType]) -> Result<Vec<Tensor>, ValueFault>;
}

/// Declares the table of operators: opcode, name, attributes.
macro_rules! operators {
    ($($(#[$doc:meta])* $code:literal $name:ident($attributes:ty)),+ $(,)?) => {
        /// An operator with its attributes.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op { $($(#[$doc])* $name($attributes)),+ }

        impl Op {
            /// Opcode and name of every operator, by ascending opcode.
            pub const TABLE: &'static [(u16, &'static str)] = &[$(($code, stringify!($name))),+];

            /// Its opcode.
            pub fn code(&self) -> u16 {
                match self { $(Self::$name(_) => $code),+ }
            }

            /// Its family's name.
            pub fn family(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),+ }
            }

            /// Its definition.
            pub fn definition(&self) -> &dyn Operator {
                match self { $(Self::$name(a) => a),+ }
            }

            /// Writes opcode and attributes.
            pub fn encode(&self, w: &mut Writer) {
                w.u16(self.code());
                match self { $(Self::$name(a) => a.write(w)),+ }
            }

            /// Reads opcode and attributes.
            pub fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                match r.u16()? {
                    $($code => Ok(Self::$name(Attribute::read(r)?)),)+
                    _ => Err(r.error("an unknown operator")),
                }
            }
        }

        $(impl From<$attributes> for Op {
            fn from(a: $attributes) -> Self {
                Self::$name(a)
            }
        })+
    };
}

operators! {
    /// f(x), element by element.
    1 Unary(unary::Unary),
    /// f(a, b) with broadcasting.
    2 Binary(binary::Binary),
    /// a ? b with broadcasting, to bool.
    3 Compare(compare::Compare),
    /// Where(condition, a, b) with broadcasting.
    4 Select(select::Select),
    /// Conversion of the element type.
    5 Cast(cast::Cast),
    /// Matrix product by S1, batched with broadcasting.
    6 MatMul(contraction::MatMul),
    /// alpha * op(A) op(B) + beta * C.
    7 Gemm(contraction::Gemm),
    /// Convolution by S1.
    8 Conv(conv::Conv),
    /// Max and average pooling.
    9 Pool(pool::Pool),
    /// Reductions by S2.
    10 Reduce(reduce::Reduce),
    /// Position of the greatest or least element.
    11 ArgReduce(arg_reduce::ArgReduce),
    /// Softmax and its logarithm.
    12 Softmax(softmax::Softmax),
    /// Another shape for the same elements.
    13 Reshape(reshape::Reshape),
    /// Permutation of the axes.
    14 Transpose(transpose::Transpose),
    /// Joins tensors along an axis.
    15 Concat(concat::Concat),
    /// A regular part of each axis.
    16 Slice(slice::Slice),
    /// Picks along an axis by index.
    17 Gather(gather::Gather),
    /// Broadcast to a shape.
    18 Expand(expand::Expand),
    /// Constant, edge or reflected border.
    19 Pad(pad::Pad),
    /// An ensemble of decision trees.
    20 TreeEnsemble(tree::TreeEnsemble),
    /// Passes a tensor on where a condition holds, or fails the call.
    21 Require(require::Require),
    /// Picks one element for each index.
    22 GatherElements(gather_elements::GatherElements),
    /// Picks slices by index vectors.
    23 GatherND(gather_nd::GatherND),
    /// Updates single elements, one after the other.
    24 ScatterElements(scatter::ScatterElements),
    /// Updates slices, one after the other.
    25 ScatterND(scatter::ScatterND),
    /// Positions of the greatest or least elements.
    26 TopK(top_k::TopK),
    /// Running sums and products.
    27 Cumulate(cumulate::Cumulate),
    /// Product of 8-bit integer matrices, exact in i32.
    28 IntegerMatMul(integer::IntegerMatMul),
    /// Convolution of 8-bit integers, exact in i32.
    29 IntegerConv(integer::IntegerConv),
    /// Rows times weights of class I8 or I16.
    30 QuantizedMatMul(quantized::QuantizedMatMul),
    /// Convolution with weights of class I8 or I16.
    31 QuantizedConv(quantized::QuantizedConv),
    /// The same bits as another type.
    37 BitCast(bit_cast::BitCast),
    /// Probabilities of classes from those of pairs of classes.
    55 PairwiseCoupling(pairwise_coupling::PairwiseCoupling),
}

impl Op {
    /// The name people see: the kind where a family has kinds.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unary(u) => u.kind.name(),
            Self::Binary(b) => b.kind.name(),
            Self::Compare(c) => c.kind.name(),
            Self::Reduce(r) => r.kind.name(),
            Self::ArgReduce(a) => a.name(),
            Self::Pool(p) => p.name(),
            Self::Softmax(s) => s.name(),
            _ => self.family(),
        }
    }
}
