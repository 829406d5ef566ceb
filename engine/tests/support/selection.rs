//! Checks, picks, updates and running sums in random graphs.

use lockstep_engine::dim::Dim;
use lockstep_engine::ops::{binary, bit_cast, compare, cumulate, gather_elements, gather_nd, require, scatter, top_k};
use lockstep_engine::{DType, Data, Tensor, TensorType};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::{Growing, Ref};

impl Growing {
    /// One of these operators on `x`, so that rows stay independent: the batch is axis 0 and no index crosses it.
    pub(super) fn grow_selection(&mut self, x: Ref, t: &TensorType, known: &[usize]) {
        let rank = t.rank();
        if rank == 0 {
            return;
        }
        let last = rank - 1;
        let axis = if rank > 1 { self.rng.random_range(1..rank) } else { 0 };
        match self.rng.random_range(0..7u32) {
            0 => {
                let what = *require::Requirement::ALL.choose(&mut self.rng).unwrap();
                let condition = if self.rng.random_ratio(1, 3) {
                    // Holds or fails with the data.
                    let y = self.constant(t.dtype, &[], 20);
                    self.push(compare::Compare { kind: compare::CompareKind::Less }.into(), vec![Some(x), Some(y)]);
                    self.last()
                } else {
                    self.constants.push(Tensor { shape: vec![2], data: Data::Bool(vec![true, true]) });
                    Ref::Constant(self.constants.len() - 1)
                };
                if self.type_of(condition).dtype == DType::Bool {
                    self.push(require::Require { what }.into(), vec![Some(x), Some(condition)]);
                }
            }
            1 | 2 if rank > 1 => {
                // The positions pick the elements, and take part in an update of them.
                let k = Dim::Known(self.rng.random_range(1..=known[axis] as u64));
                let greatest = self.rng.random();
                let before = self.nodes.len();
                self.push(top_k::TopK { axis: axis as u8, k, greatest }.into(), vec![Some(x)]);
                if self.nodes.len() == before {
                    return;
                }
                let index = self.last();
                let axis = axis as u8;
                self.push(gather_elements::GatherElements { axis }.into(), vec![Some(x), Some(index)]);
                let picked = self.last();
                if self.rng.random() && picked != index {
                    let kind = *scatter::ScatterKind::ALL.choose(&mut self.rng).unwrap();
                    let operands = vec![Some(x), Some(index), Some(picked)];
                    self.push(scatter::ScatterElements { axis, kind }.into(), operands);
                }
            }
            3 if rank == 2 => {
                let k = Dim::Known(1);
                let before = self.nodes.len();
                self.push(top_k::TopK { axis: 1, k, greatest: false }.into(), vec![Some(x)]);
                if self.nodes.len() > before {
                    let index = self.last();
                    self.push(gather_nd::GatherND { batch_dims: 1 }.into(), vec![Some(x), Some(index)]);
                }
            }
            4 => {
                // Constants updated, and added to every row.
                let n = known[last];
                let count = self.rng.random_range(0..5usize);
                let kind = *scatter::ScatterKind::ALL.choose(&mut self.rng).unwrap();
                let data = self.constant(t.dtype, &[n], 20);
                let index = (0..count).map(|_| self.rng.random_range(-(n as i64)..n as i64)).collect();
                self.constants.push(Tensor { shape: vec![count, 1], data: Data::I64(index) });
                let index = Ref::Constant(self.constants.len() - 1);
                let updates = self.constant(t.dtype, &[count], 20);
                let before = self.nodes.len();
                self.push(scatter::ScatterND { kind }.into(), vec![Some(data), Some(index), Some(updates)]);
                if self.nodes.len() > before {
                    let y = self.last();
                    let kind = binary::BinaryKind::Add;
                    self.push(binary::Binary { kind }.into(), vec![Some(x), Some(y)]);
                }
            }
            5 if rank > 1 => {
                let op = cumulate::Cumulate {
                    kind: *cumulate::CumulateKind::ALL.choose(&mut self.rng).unwrap(),
                    axis: axis as u8,
                    exclusive: self.rng.random(),
                    reverse: self.rng.random(),
                };
                self.push(op.into(), vec![Some(x)]);
            }
            _ => {
                let same_size: Vec<DType> = DType::ALL.into_iter().filter(|d| d.size() == t.dtype.size()).collect();
                let to = *same_size.choose(&mut self.rng).unwrap();
                self.push(bit_cast::BitCast { to }.into(), vec![Some(x)]);
            }
        }
    }

    /// The value made last.
    fn last(&self) -> Ref {
        self.types.last().unwrap().0
    }
}
