//! Sampling at computed places: GridSample and the grids made for it.

mod affine_grid;
mod grid_sample;
mod roi_align;
mod taps;

pub(super) use affine_grid::affine_grid;
pub(super) use grid_sample::grid_sample;
pub(super) use roi_align::roi_align;
pub(super) use taps::{clamp, far, is, near, with};
