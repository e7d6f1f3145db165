//! Signing in and out: users and their passwords, the pages and the JSON beside them.

mod anonymous;
mod api;
mod binding;
mod cookie;
mod desk;
mod flow;
mod forms;
pub(crate) mod manage;
mod me;
mod network;
mod places;
mod random;
mod routes;
mod settings;
mod sign_in;
mod target;
#[cfg(test)]
mod tests;
mod theme;
mod throttle;
pub(crate) mod users;
mod views;

pub(crate) use desk::{Desk, Recognised};
pub(crate) use settings::{Binding, LoginSettings, Theme, Throttling, UsersUrl};
