//! Measures Cloakroom itself, over a Redis of its own, at growing sizes.

pub(crate) mod blocks;
mod chart;
pub(crate) mod gauge;
mod node;
mod nodes;
mod options;
mod plan;
mod report;
mod sizes;
mod slots;
mod writers;

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

pub(crate) use self::options::Options;

use self::blocks::Marks;
use self::nodes::NodesRow;
use self::report::Report;
use self::sizes::{Place, SizeRow};
use self::writers::WritersRow;
use crate::app::{App, Places};
use crate::machine::{Machine, versions};
use crate::process::{Core, stay_on};

const MARKS: Marks = Marks::new("scale");

/// Does all that the command line asks for; returns what has failed on the way.
///
/// # Errors
///
/// Where the report cannot be written.
pub(crate) async fn run(options: &Options) -> Result<Vec<String>, Box<dyn Error>> {
    // Before anything is measured: a file that cannot be written to its end helps nobody.
    let document = document(options)?;
    stay_on(Core::Server)?;
    let folder = tempfile::Builder::new().prefix("cloakroom-scale-").tempdir()?;
    let mut failures = Vec::new();
    let sizes = sizes(options, folder.path(), &mut failures).await;
    let nodes = nodes(options, folder.path(), &mut failures).await;
    let writers = writers(options, folder.path(), &mut failures).await;
    let apps: Vec<App> = App::named("cloakroom").into_iter().collect();
    let mut versions = versions(&apps, &Places::here());
    // It takes no part in this.
    versions.remove("wrk");
    let report = Report::new(sizes, nodes, writers, (versions, Machine::here(), options.quick));
    let blocks = report.blocks();
    println!("{}", blocks::whole(&blocks));
    if let (Some(path), Some(document)) = (&options.markdown, document) {
        write(path, &MARKS.rewrite(&document, &blocks)?)?;
    }
    if let Some(path) = &options.json {
        write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    if let Some(path) = &options.svg {
        write(path, &chart::chart(&report))?;
    }
    Ok(failures)
}

/// The document that the tables go into, once it is sure that they can.
fn document(options: &Options) -> Result<Option<String>, Box<dyn Error>> {
    let Some(path) = &options.markdown else {
        return Ok(None);
    };
    let document = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => MARKS.fresh(),
        document => document?,
    };
    let none = Report::new(
        Vec::new(),
        Vec::new(),
        Vec::new(),
        (Default::default(), Machine::here(), options.quick),
    );
    MARKS.rewrite(&document, &none.blocks())?;
    Ok(Some(document))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

async fn sizes(options: &Options, folder: &Path, failures: &mut Vec<String>) -> Vec<SizeRow> {
    let mut rows = Vec::new();
    let everywhere = options.sizes().iter().map(|count| (*count, Place::Everywhere));
    let full = (options.full_bucket(), Place::OneBucket);
    for (count, place) in everywhere.chain([full]) {
        eprintln!("{count} sessions, {place}");
        match sizes::measure(folder, count, place).await {
            Ok(row) => rows.push(row),
            Err(error) => fail(failures, &format!("{count} sessions, {place}: {error}")),
        }
    }
    rows
}

async fn nodes(options: &Options, folder: &Path, failures: &mut Vec<String>) -> Vec<NodesRow> {
    let mut rows = Vec::new();
    for count in options.nodes() {
        eprintln!("{count} nodes");
        match nodes::measure(folder, *count, options.samples()).await {
            Ok(row) => rows.push(row),
            Err(error) => fail(failures, &format!("{count} nodes: {error}")),
        }
    }
    rows
}

async fn writers(options: &Options, folder: &Path, failures: &mut Vec<String>) -> Vec<WritersRow> {
    let mut rows: Vec<WritersRow> = Vec::new();
    let (writers, nodes) = options.writers();
    for count in nodes {
        eprintln!("{writers:?} writers of one attribute on {count} nodes");
        match writers::measure(folder, *count, writers, options.time()).await {
            Ok(more) => rows.extend(more),
            Err(error) => fail(failures, &format!("writers on {count} nodes: {error}")),
        }
    }
    rows.iter().filter_map(WritersRow::failure).for_each(|failure| fail(failures, &failure));
    rows
}

fn fail(failures: &mut Vec<String>, failure: &str) {
    eprintln!("FAILED: {failure}");
    failures.push(failure.to_owned());
}
