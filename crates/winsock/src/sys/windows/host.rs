//! The host: no limits known, no signals, no figures.

use crate::host::{DescriptorLimit, ProcessFigures, Signal};
use std::io;

pub(crate) fn descriptor_limit() -> Option<DescriptorLimit> {
    None
}

pub(crate) fn raise_descriptor_limit() -> Option<DescriptorLimit> {
    None
}

pub(crate) fn descriptors_open() -> usize {
    0
}

pub(crate) fn process_figures() -> ProcessFigures {
    ProcessFigures::default()
}

#[derive(Debug)]
pub(crate) struct Signals {
    never: std::convert::Infallible,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Signals> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn wait(&self) -> Signal {
        match self.never {}
    }
}
