//! What the cells of this column are made of.

pub(super) mod address;
pub(super) mod apc;
pub(super) mod block;
pub(super) mod detour;
pub(super) mod dispatched;
pub(super) mod event;
pub(super) mod extensions;
mod gate;
pub(super) mod handle;
pub(super) mod lasting;
mod options;
pub(super) mod orphans;
pub(super) mod queue;
pub(super) mod selection;
pub(super) mod time;
pub(super) mod window;
