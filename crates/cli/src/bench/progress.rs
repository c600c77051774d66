//! The bar on a terminal.
