//! What becomes of headers.
