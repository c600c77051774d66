//! Which servers are measured, under what, in which order.
