//! A server whose way of waiting is a choice: the seven Winsock I/O models, on Windows and on Linux.
//!
//! A program writes a [`Service`](doorbell_service::Service) once; [`Server::builder`] runs it under the [`Model`]
//! that it is told:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let running = doorbell::Server::builder(doorbell_service::Echo)
//!     .model(doorbell::Model::Select)
//!     .listen("127.0.0.1:0".parse()?)
//!     .start()?;
//! println!("listening on {}", running.addresses()[0]);
//! running.wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! A byte goes *system → model → peer → service* and back by the same stairs. A file in `models` holds waiting and
//! nothing else; `peer::ready` is told *you may*, `peer::done` is told *it is done*; what all servers share stands
//! beside them, once.

#![forbid(unsafe_code)]

mod bell;
mod choice;
mod client;
mod clock;
mod company;
mod core;
mod desks;
mod door;
mod error;
mod event;
mod figures;
mod flat;
mod gates;
mod groups;
mod hall;
mod house;
mod inbox;
mod instants;
mod listener;
mod lobby;
mod model;
pub mod models;
mod peer;
mod routines;
mod server;
mod sets;
mod settings;
mod summons;
mod table;
mod threads;
mod tray;
mod under_way;
mod wake;

pub use error::{ServeError, StartError};
pub use event::ServerEvent;
pub use figures::Figures;
pub use model::{Model, UnknownModel};
pub use server::{Builder, Running, Server, ServerHandle};
