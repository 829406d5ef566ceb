//! lockstep-precompile
