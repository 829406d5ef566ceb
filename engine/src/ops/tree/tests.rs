//! Tests of the ensemble.
