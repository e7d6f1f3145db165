//! The desk as a whole: requests through its router, over sessions in memory and users in SQLite.

mod flows;
mod passwords;
mod readers;
mod sessions;
mod support;
