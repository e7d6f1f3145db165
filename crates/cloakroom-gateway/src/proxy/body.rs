//! Bodies on their way: streamed as they come, within their limits.

mod download;
mod upload;

pub(super) use download::Download;
pub(super) use upload::{Cut, Progress, Upload};
