//! What the gateway answers by itself: pages and problems, in the reader's language.

mod colour;
pub(crate) mod device;
mod frame;
mod language;
mod problem;
pub(crate) mod when;

pub(crate) use colour::Colour;
pub(crate) use frame::{Brand, LOGO_PATH, Page, THEME_PATH, guard};
pub(crate) use language::Language;
pub(crate) use problem::{Problem, Reader};
