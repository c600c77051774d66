//! Starting, and the choice of a backend.

use super::error::Result;
use crate::startup::{Backend, BackendChoice, Refusal};

pub(crate) fn startup() -> Result<()> {
    Ok(())
}

pub(crate) fn choose_backend(choice: BackendChoice) -> std::result::Result<Backend, Refusal> {
    let backend = match choice {
        BackendChoice::Auto => Backend::Epoll,
        BackendChoice::Only(backend) => backend,
    };
    Err(Refusal {
        backend,
        cause: "this system has no column".into(),
        remedy: "use Linux or Windows, or fill a copy of sys/stub".into(),
    })
}

pub(crate) fn backend() -> Backend {
    Backend::Epoll
}

pub(crate) fn fallback() -> Option<Refusal> {
    None
}

pub(crate) fn report() -> Vec<(String, String)> {
    vec![("system".into(), "not supported".into())]
}
