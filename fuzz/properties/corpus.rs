//! Feeds the committed seeds to a property, in a test of the crate that has to hold it.

use std::path::Path;
use std::{fs, io};

/// Feeds every file of `fuzz/corpus/<name>` to `holds`, and counts them.
#[expect(
    clippy::print_stdout,
    reason = "shown only where the property fails: the last line names the file"
)]
pub(crate) fn feed(name: &str, holds: fn(&[u8])) -> io::Result<usize> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut fed = 0;
    for entry in fs::read_dir(corpora.join(name))? {
        let path = entry?.path();
        println!("{}", path.display());
        holds(&fs::read(&path)?);
        fed += 1;
    }
    Ok(fed)
}
