//! What the cells of this column are made of.

pub(super) mod address;
pub(super) mod gate;
pub(super) mod handle;
mod options;
