//! Signing in and out: users and their passwords, the pages and the JSON beside them.

mod desk;
mod settings;

pub(crate) use desk::{Desk, Recognised};
pub(crate) use settings::{Binding, LoginSettings, Theme, Throttling, UsersUrl};
