//! lockstep-node-ext
