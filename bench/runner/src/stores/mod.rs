//! Measures every way to keep a session beside the others: what a read and a write take, what a
//! session takes, and what an outage costs.

mod chart;
mod options;
mod outage;
mod places;
mod report;
mod speed;
mod user;

use std::error::Error;
use std::fs;
use std::path::Path;

pub(crate) use self::options::Options;

use self::places::{NAMES, Place};
use self::report::{Report, Row};
use crate::machine::Machine;
use crate::process::{Core, stay_on};
use crate::scale::blocks::{self, Marks};

const MARKS: Marks = Marks::new("stores");

/// Does all that the command line asks for; returns what has failed on the way.
///
/// # Errors
///
/// Where the report cannot be written.
pub(crate) async fn run(options: &Options) -> Result<Vec<String>, Box<dyn Error>> {
    // Before anything is measured: a file that cannot be written to its end helps nobody.
    let document = document(options)?;
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for name in NAMES.into_iter().filter(|name| options.wants(name)) {
        eprintln!("{name}");
        match measure(name, options).await {
            Ok(row) => rows.push(row),
            Err(error) => {
                eprintln!("FAILED: {name}: {error}");
                failures.push(format!("{name}: {error}"));
            }
        }
    }
    failures.extend(rows.iter().filter_map(Row::failure));
    let report = Report { rows, machine: Machine::here(), quick: options.quick };
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

async fn measure(name: &'static str, options: &Options) -> Result<Row, Box<dyn Error>> {
    // What is started here inherits its core from us.
    stay_on(Core::Load)?;
    let mut place = Place::start(name).await?;
    stay_on(Core::Server)?;
    let speed = speed::measure(&place, &options.of(name)).await?;
    let outage = match place.can_die() && options.outages {
        true => Some(outage::measure(&mut place).await?),
        false => None,
    };
    Ok(Row { name: name.to_owned(), version: place.version(), speed, outage })
}

/// The document that the tables go into, once it is sure that they can.
fn document(options: &Options) -> Result<Option<String>, Box<dyn Error>> {
    let Some(path) = &options.markdown else {
        return Ok(None);
    };
    let document = fs::read_to_string(path)?;
    let none = Report { rows: Vec::new(), machine: Machine::here(), quick: options.quick };
    MARKS.rewrite(&document, &none.blocks())?;
    Ok(Some(document))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
