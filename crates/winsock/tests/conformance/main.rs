//! The conformance suite: one promise of Winsock per test, named by its id in the catalogue of semantics, one body
//! over every column.
//!
//! The modules are the rows of the crate. Above each test stands where the promise is written: D is Microsoft's page
//! of that name, W Wine's `dlls/ws2_32/tests/sock.c`, WA `afd.c` beside it, WK and WN the tests of kernel32 and
//! ntdll. What Wine itself does otherwise is declared in the test, with its number ([`harness::known_on_wine`]).

mod async_select;
mod delivery;
mod error;
mod event;
mod event_select;
mod harness;
mod overlapped;
mod port;
mod routine;
mod select;
mod socket;
mod startup;
mod told;
