//! The host: no limits known, no signals, no figures, no choice of processors.

use crate::host::{DescriptorLimit, OtherFigures, ProcessFigures, Signal};
use std::io;
use std::process::{Child, Command};

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

pub(crate) fn processors_allowed() -> Vec<usize> {
    (0..crate::host::processors()).collect()
}

pub(crate) fn pin_current_thread(_processors: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn spawn_pinned(_command: &mut Command, _processors: &[usize]) -> io::Result<Child> {
    Err(io::ErrorKind::Unsupported.into())
}

#[derive(Debug)]
pub(crate) struct OtherProcess {
    never: std::convert::Infallible,
}

impl OtherProcess {
    pub(crate) fn new(_id: u32) -> io::Result<OtherProcess> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn figures(&self) -> io::Result<OtherFigures> {
        match self.never {}
    }

    pub(crate) fn count_system_calls(&self) -> io::Result<SystemCalls> {
        match self.never {}
    }
}

#[derive(Debug)]
pub(crate) struct SystemCalls {
    never: std::convert::Infallible,
}

impl SystemCalls {
    pub(crate) fn count(&self) -> io::Result<u64> {
        match self.never {}
    }
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
