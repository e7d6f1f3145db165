//! Measures the gateway beside nginx as a plain proxy, and beside proxies that ask a session service
//! about every request.

mod chart;
mod config;
mod judges;
mod obtain;
mod options;
mod report;
mod ways;

use std::error::Error;
use std::fs;
use std::path::Path;

pub(crate) use self::options::Options;

use self::obtain::Programs;
use self::report::{Report, Round, Settings};
use self::ways::{PATH, Site, Way};
use crate::app::Places;
use crate::proc::{group_cpu_us, group_resident};
use crate::process::{Core, stay_on};
use crate::scale::blocks::{self, Marks};
use crate::wrk;

const MARKS: Marks = Marks::new("gateway");

/// Does all that the command line asks for; returns what has failed on the way.
///
/// # Errors
///
/// Where the gateway or plain nginx cannot be started, or the report cannot be written.
pub(crate) async fn run(options: &Options) -> Result<Vec<String>, Box<dyn Error>> {
    // Before anything is measured: a file that cannot be written to its end helps nobody.
    let document = document(options)?;
    let programs = Programs::get(&Places::here(), options.binary.as_deref()).await?;
    stay_on(Core::Load)?;
    let folder = tempfile::Builder::new().prefix("cloakroom-gateway-").tempdir()?;
    let mut site = Site::start(folder.path(), &programs, options).await?;
    let mut failures = Vec::new();
    let rounds = rounds(options, folder.path(), &site, &mut failures).await;
    let settings = Settings { rounds: options.rounds, seconds: options.seconds };
    let names = site.ways.iter().map(|way| way.name.clone()).collect();
    let missing = std::mem::take(&mut site.missing);
    let report = Report::new(names, rounds, missing, settings, report::versions(&programs));
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

/// Measures each way in each round. Each round begins with another one.
async fn rounds(
    options: &Options,
    folder: &Path,
    site: &Site,
    failures: &mut Vec<String>,
) -> Vec<Round> {
    let mut rounds = Vec::new();
    for round in 0..=options.rounds {
        let count = site.ways.len();
        let from = usize::try_from(round).unwrap_or_default() % count.max(1);
        for way in site.ways.iter().cycle().skip(from).take(count) {
            match measure(options, folder, way).await {
                // The first one has warmed everything up.
                Ok(_) if round == 0 => {}
                Ok(measured) => rounds.push(Round { round, ..measured }),
                Err(error) => {
                    eprintln!("FAILED: {}: {error}", way.name);
                    failures.push(format!("{}: {error}", way.name));
                }
            }
        }
        eprintln!("round {round} of {}", options.rounds);
    }
    rounds
}

async fn measure(options: &Options, folder: &Path, way: &Way) -> Result<Round, Box<dyn Error>> {
    let cpu = || way.groups.iter().map(|group| group_cpu_us(*group)).sum::<Result<f64, _>>();
    let before = cpu()?;
    let load = wrk::run(folder, way.port, PATH, &way.cookies, options.seconds).await?;
    let cpu_us = cpu()? - before;
    if load.errors > 0 || load.requests == 0 {
        return Err(format!("{} of {} requests failed", load.errors, load.requests).into());
    }
    let resident = way.groups.iter().map(|group| group_resident(*group));
    Ok(Round {
        way: way.name.clone(),
        round: 0,
        rps: load.rps(),
        server_us: cpu_us / load.requests as f64,
        busy: cpu_us / load.duration_us,
        p50_us: load.p50_us,
        p99_us: load.p99_us,
        resident: resident.sum::<Result<u64, _>>()? as f64,
    })
}

/// The document that the tables go into, once it is sure that they can.
fn document(options: &Options) -> Result<Option<String>, Box<dyn Error>> {
    let Some(path) = &options.markdown else {
        return Ok(None);
    };
    let document = fs::read_to_string(path)?;
    let settings = Settings { rounds: options.rounds, seconds: options.seconds };
    let none = Report::new(Vec::new(), Vec::new(), Vec::new(), settings, Default::default());
    MARKS.rewrite(&document, &none.blocks())?;
    Ok(Some(document))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
