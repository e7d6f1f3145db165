//! The report: what was measured, as blocks of Markdown and as JSON.

use serde::Serialize;

use super::outage::Outage;
use super::speed::Speed;
use crate::machine::Machine;
use crate::scale::blocks::Block;
use crate::scale::gauge::Latency;
use crate::table::{cells, decimals, table, thousands};

/// What the others are compared with.
pub(crate) const BASE: &str = "Redis";

/// What was measured of one store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Which.
    pub(crate) name: String,
    /// The server's version.
    pub(crate) version: String,
    /// How fast it is, and how large.
    pub(crate) speed: Speed,
    /// What an outage costs.
    pub(crate) outage: Option<Outage>,
}

impl Row {
    /// What is wrong with it, where anything is.
    pub(crate) fn failure(&self) -> Option<String> {
        let lost = self.outage.as_ref().map_or(0, |outage| outage.lost);
        // What is in memory only is gone with its server.
        (lost > 0 && self.name != "Hazelcast")
            .then(|| format!("{}: {lost} sessions lost what was acknowledged", self.name))
    }
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// By store.
    pub(crate) rows: Vec<Row>,
    /// On what.
    pub(crate) machine: Machine,
    /// Whether it was a short run.
    pub(crate) quick: bool,
}

impl Report {
    /// The tables, each by the name that a document has it under.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        vec![
            ("conditions", self.conditions()),
            ("speed", table(&self.speed())),
            ("outage", table(&self.outages())),
        ]
    }

    fn conditions(&self) -> String {
        let machine = &self.machine;
        let versions = self.rows.iter().filter(|row| !row.version.is_empty());
        let versions: Vec<String> =
            versions.map(|row| format!("{} {}", row.name, row.version)).collect();
        let warning = if self.quick { "**A quick run, not to be relied on.** " } else { "" };
        format!(
            "{warning}Servers on one core, the node on another of {} ({} cores, {} GiB, Linux {}); \
             {}.",
            machine.cpu,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            versions.join(", "),
        )
    }

    fn base(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == BASE)
    }

    fn speed(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(&[
            "",
            "read p50/p99, us",
            "cached read p50/p99, us",
            "write p50/p99, us",
            "reads/s, x Redis",
            "cached reads/s, x Redis",
            "writes/s, x Redis",
            "bytes",
        ])];
        let base = self.base().map(|row| row.speed.clone());
        let ratio = |mine: Option<f64>, theirs: Option<f64>| {
            decimals(mine.zip(theirs).map(|(mine, theirs)| mine / theirs), 2)
        };
        for Row { name, speed, .. } in &self.rows {
            let base = base.as_ref();
            rows.push(vec![
                name.clone(),
                pair(Some(speed.read), 0),
                pair(speed.cached, 1),
                pair(Some(speed.write), 0),
                ratio(Some(speed.reads_per_second), base.map(|base| base.reads_per_second)),
                ratio(speed.cached_per_second, base.and_then(|base| base.cached_per_second)),
                ratio(Some(speed.writes_per_second), base.map(|base| base.writes_per_second)),
                thousands(speed.bytes),
            ]);
        }
        rows
    }

    fn outages(&self) -> Vec<Vec<String>> {
        let mut rows =
            vec![cells(&["", "acknowledged", "lost", "refused", "longest, ms", "back after, ms"])];
        for Row { name, outage, .. } in &self.rows {
            if let Some(outage) = outage {
                rows.push(vec![
                    name.clone(),
                    thousands(Some(outage.acknowledged as f64)),
                    outage.lost.to_string(),
                    thousands(Some(outage.refused as f64)),
                    thousands(Some(outage.longest_ms)),
                    thousands(Some(outage.back_ms)),
                ]);
            }
        }
        rows
    }
}

fn pair(latency: Option<Latency>, places: usize) -> String {
    latency.map_or_else(String::new, |Latency { p50_us, p99_us }| {
        format!("{p50_us:.places$} / {p99_us:.places$}")
    })
}
