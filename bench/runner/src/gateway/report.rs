//! The report: what was measured, as blocks of Markdown and as JSON.

use std::ffi::OsStr;
use std::process::Command;

use serde::Serialize;

use super::obtain::Programs;
use super::ways::{OURS, PLAIN};
use crate::machine::{Machine, Versions, first_version};
use crate::scale::blocks::Block;
use crate::stats::{median, paired_ratio};
use crate::table::{cells, decimals, table, thousands};
use crate::wrk::{CONNECTIONS, THREADS};

/// What one round has measured of one way.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Round {
    pub(super) way: String,
    pub(super) round: u64,
    /// Requests per second.
    pub(super) rps: f64,
    /// Microseconds of CPU per request, of all that a request passes but the service.
    pub(super) server_us: f64,
    /// The part of its core that this is.
    pub(super) busy: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Resident bytes.
    pub(super) resident: f64,
}

/// How long it was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Settings {
    pub(super) rounds: u64,
    pub(super) seconds: u64,
}

/// The medians of one way.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) way: String,
    pub(super) rps: Option<f64>,
    /// The median of the rounds' ratios: requests per second to plain nginx's.
    pub(super) x_plain: Option<f64>,
    /// The gateway's requests per second to this way's.
    pub(super) ours: Option<f64>,
    pub(super) server_us: Option<f64>,
    /// CPU per request to plain nginx's.
    pub(super) us_x_plain: Option<f64>,
    pub(super) busy: Option<f64>,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) resident: Option<f64>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    rounds: Vec<Round>,
    pub(super) missing: Vec<String>,
    pub(super) settings: Settings,
    versions: Versions,
    machine: Machine,
}

impl Report {
    /// The report of these ways and what their rounds have measured.
    pub(super) fn new(
        ways: Vec<String>,
        rounds: Vec<Round>,
        missing: Vec<String>,
        settings: Settings,
        versions: Versions,
    ) -> Self {
        let rows = ways.into_iter().map(|way| row(way, &rounds)).collect();
        Self { rows, rounds, missing, settings, versions, machine: Machine::here() }
    }

    /// The tables, each by the name that a document has it under.
    pub(super) fn blocks(&self) -> Vec<Block> {
        vec![("conditions", self.conditions()), ("speed", table(&self.speed()))]
    }

    fn conditions(&self) -> String {
        let Self { machine, settings, .. } = self;
        let versions = self.versions.iter().map(|(name, version)| format!("{name} {version}"));
        let mut text = format!(
            "Medians of {} rounds of {} s, wrk -t{THREADS} -c{CONNECTIONS}; what is measured on core \
             0, service, Redis and load on core 1 of {} ({} cores, {} GiB, Linux {}). {}.",
            settings.rounds,
            settings.seconds,
            machine.cpu,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            versions.collect::<Vec<_>>().join(", "),
        );
        for missing in &self.missing {
            text.push_str(&format!("\n\nNot measured: {}.", missing.trim_end_matches('.')));
        }
        text
    }

    fn speed(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(&[
            "way",
            "requests/s",
            "x nginx",
            "cloakroom, x this",
            "server us",
            "x nginx",
            "core busy",
            "p50 us",
            "p99 us",
            "MiB",
        ])];
        rows.extend(self.rows.iter().map(|row| {
            vec![
                row.way.clone(),
                thousands(row.rps),
                decimals(row.x_plain, 2),
                decimals(row.ours, 2),
                decimals(row.server_us, 1),
                decimals(row.us_x_plain, 2),
                decimals(row.busy, 2),
                thousands(row.p50_us),
                thousands(row.p99_us),
                decimals(row.resident.map(|bytes| bytes / f64::from(1 << 20)), 1),
            ]
        }));
        rows
    }
}

fn row(way: String, rounds: &[Round]) -> Row {
    let of = |way: &str, figure: fn(&Round) -> f64| -> Vec<(usize, f64)> {
        let of_way = rounds.iter().filter(|round| round.way == way);
        of_way.map(|it| (usize::try_from(it.round).unwrap_or_default(), figure(it))).collect()
    };
    let middle = |figure| {
        let figures: Vec<f64> = of(&way, figure).into_iter().map(|(_, figure)| figure).collect();
        median(&figures)
    };
    let rps = of(&way, |round| round.rps);
    let us = of(&way, |round| round.server_us);
    Row {
        rps: middle(|round| round.rps),
        x_plain: paired_ratio(&rps, &of(PLAIN, |round| round.rps)),
        ours: paired_ratio(&of(OURS, |round| round.rps), &rps),
        server_us: middle(|round| round.server_us),
        us_x_plain: paired_ratio(&us, &of(PLAIN, |round| round.server_us)),
        busy: middle(|round| round.busy),
        p50_us: middle(|round| round.p50_us),
        p99_us: middle(|round| round.p99_us),
        resident: middle(|round| round.resident),
        way,
    }
}

/// The versions of all that takes part.
pub(super) fn versions(programs: &Programs) -> Versions {
    let version = |program: &OsStr, option: &str| {
        let output = Command::new(program).arg(option).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        first_version(&String::from_utf8_lossy(&text))
    };
    let mut versions = Versions::new();
    for (name, option) in [
        ("nginx", "-v"),
        ("wrk", "-v"),
        ("redis-server", "--version"),
        ("node", "--version"),
        ("rustc", "--version"),
    ] {
        versions.extend(version(OsStr::new(name), option).map(|found| (name.to_owned(), found)));
    }
    for (name, program, option) in [
        ("cloakroom", Ok(&programs.gateway), "--version"),
        ("traefik", programs.traefik.as_ref(), "version"),
        ("caddy", programs.caddy.as_ref(), "version"),
        ("oauth2-proxy", programs.oauth2_proxy.as_ref(), "--version"),
    ] {
        let Ok(program) = program else { continue };
        let found = version(program.as_os_str(), option);
        versions.extend(found.map(|found| (name.to_owned(), found)));
    }
    versions
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::gateway) fn report() -> Report {
        let round = |way: &str, round, rps, server_us| Round {
            way: way.to_owned(),
            round,
            rps,
            server_us,
            ..Round::default()
        };
        let rounds = vec![
            round(PLAIN, 1, 100.0, 10.0),
            round(OURS, 1, 80.0, 12.0),
            round(PLAIN, 2, 50.0, 20.0),
            round(OURS, 2, 45.0, 21.0),
            round("caddy + other", 2, 9.0, 100.0),
        ];
        let names = [OURS, PLAIN, "caddy + other", "never measured"].map(str::to_owned);
        let settings = Settings { rounds: 2, seconds: 1 };
        let missing = vec!["other: it cannot be had".to_owned()];
        Report::new(names.to_vec(), rounds, missing, settings, Versions::new())
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let report = report();
        let [ours, plain, other, never] = report.rows.as_slice() else { panic!("{report:?}") };
        assert_eq!(ours.x_plain, Some(0.85));
        assert_eq!((plain.x_plain, plain.us_x_plain), (Some(1.0), Some(1.0)));
        assert_eq!(other.ours, Some(5.0));
        assert_eq!((never.rps, never.ours), (None, None));
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        assert!(report().conditions().ends_with("Not measured: other: it cannot be had."));
    }
}
