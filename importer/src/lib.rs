//! lockstep-importer
