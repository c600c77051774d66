//! What the Windows kernel remembers, as pure state machines: no system call, no `unsafe`, no clock.
