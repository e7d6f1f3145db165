//! The report: what was measured, as blocks of Markdown and as JSON.

use serde::Serialize;

use super::blocks::Block;
use super::gauge::Latency;
use super::nodes::NodesRow;
use super::plan::{self, Costs, Line, Origin, SITES, Site};
use super::sizes::SizeRow;
use super::writers::WritersRow;
use crate::machine::{Machine, Versions};
use crate::table::{cells, decimals, table, thousands};

/// What is computed from the largest size, and not measured.
const ON_PAPER: u64 = 10_000_000;
/// The sites' sessions in one bucket.
const IN_A_BUCKET: u64 = 256;

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// By number of sessions.
    pub(crate) sessions: Vec<SizeRow>,
    /// By number of nodes.
    pub(crate) nodes: Vec<NodesRow>,
    /// By number of writers.
    pub(crate) writers: Vec<WritersRow>,
    /// What large deployments are taken to be.
    pub(crate) sites: Vec<Site>,
    /// What they come to.
    pub(crate) plan: Vec<Line>,
    /// What took part.
    pub(crate) versions: Versions,
    /// On what.
    pub(crate) machine: Machine,
    /// Whether it was a short run.
    pub(crate) quick: bool,
}

impl Report {
    /// Adds the arithmetic to what was measured.
    pub(crate) fn new(
        sessions: Vec<SizeRow>,
        nodes: Vec<NodesRow>,
        writers: Vec<WritersRow>,
        (versions, machine, quick): (Versions, Machine, bool),
    ) -> Self {
        let costs = Costs::of(&sessions, &nodes);
        let plan = costs.map(|costs| plan::lines(&SITES, &costs)).unwrap_or_default();
        Self { sessions, nodes, writers, sites: SITES.to_vec(), plan, versions, machine, quick }
    }

    /// The tables, each by the name that a document has it under.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        vec![
            ("conditions", self.conditions()),
            ("memory", table(&self.memory())),
            ("speed", table(&self.speed())),
            ("expiry", table(&self.expiry())),
            ("nodes", table(&self.traffic())),
            ("writers", table(&self.contended())),
            ("plan", table(&self.planned())),
        ]
    }

    fn conditions(&self) -> String {
        let machine = &self.machine;
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let warning = if self.quick { "**A quick run, not to be relied on.** " } else { "" };
        format!(
            "{warning}Redis on one core, the nodes together on another of {} ({} cores, {} GiB, \
             Linux {}); {}.",
            machine.cpu,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            versions.join(", "),
        )
    }

    fn memory(&self) -> Vec<Vec<String>> {
        let mut rows =
            vec![cells(&["sessions", "used_memory", "x record", "resident", "all, MiB", ""])];
        let mib = |bytes: f64| decimals(Some(bytes / 1024.0 / 1024.0), 1);
        for row in &self.sessions {
            rows.push(vec![
                name(row),
                thousands(Some(row.bytes)),
                decimals(Some(row.bytes / row.encoded_bytes.max(1) as f64), 2),
                thousands(Some(row.resident_bytes)),
                mib(row.bytes * row.sessions as f64),
                "measured".to_owned(),
            ]);
        }
        let largest = self.sessions.iter().filter(|row| row.buckets > 1);
        if let Some(row) = largest.max_by_key(|row| row.sessions) {
            rows.push(vec![
                thousands(Some(ON_PAPER as f64)),
                thousands(Some(row.bytes)),
                decimals(Some(row.bytes / row.encoded_bytes.max(1) as f64), 2),
                String::new(),
                mib(row.bytes * ON_PAPER as f64),
                "computed".to_owned(),
            ]);
        }
        rows
    }

    fn speed(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(&[
            "sessions",
            "read p50/p99",
            "cached read p50/p99",
            "write p50/p99",
            "Redis, create",
            "Redis, read",
            "Redis, write",
            "bytes, read",
            "bytes, write",
        ])];
        for row in &self.sessions {
            rows.push(vec![
                name(row),
                pair(Some(row.read), 0),
                pair(Some(row.cached), 1),
                pair(Some(row.write), 0),
                decimals(Some(row.create.redis_us), 1),
                decimals(Some(row.reads.redis_us), 1),
                decimals(Some(row.writes.redis_us), 1),
                thousands(Some(row.reads.bytes_in + row.reads.bytes_out)),
                thousands(Some(row.writes.bytes_in + row.writes.bytes_out)),
            ]);
        }
        rows
    }

    fn expiry(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(&[
            "sessions",
            "swept/s",
            "Redis for each",
            "with its announcement",
            "sweep of nothing",
            "Redis for it",
            "count",
            "Redis for it",
        ])];
        for row in &self.sessions {
            rows.push(vec![
                name(row),
                thousands(Some(row.sweep.per_second)),
                decimals(Some(row.sweep.redis_us), 1),
                decimals(Some(row.announced.redis_us), 1),
                thousands(Some(row.idle_sweep.each_us)),
                thousands(Some(row.idle_sweep.redis_us)),
                thousands(Some(row.count.each_us)),
                thousands(Some(row.count.redis_us)),
            ]);
        }
        rows
    }

    fn traffic(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(&[
            "nodes",
            "told of a write",
            "read again",
            "Redis, write",
            "bytes, write",
            "tracking, bytes",
            "seen p50/p99",
            "refused p50/p99",
        ])];
        for row in &self.nodes {
            rows.push(vec![
                row.nodes.to_string(),
                decimals(Some(row.invalidations), 2),
                decimals(Some(row.reread), 2),
                decimals(Some(row.writes.redis_us), 1),
                thousands(Some(row.writes.bytes_in + row.writes.bytes_out)),
                thousands(Some(row.tracking_bytes)),
                pair(row.seen, 0),
                pair(row.refused, 0),
            ]);
        }
        rows
    }

    fn contended(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(&[
            "writers",
            "nodes",
            "acknowledged",
            "lost",
            "acknowledged/s",
            "x one writer",
            "p50/p99",
            "Redis for each",
        ])];
        for row in &self.writers {
            let mut same = self.writers.iter().filter(|other| other.nodes == row.nodes);
            let alone = same.find(|other| other.writers == 1);
            rows.push(vec![
                row.writers.to_string(),
                row.nodes.to_string(),
                thousands(Some(row.acknowledged as f64)),
                row.lost.to_string(),
                thousands(Some(row.per_second)),
                decimals(alone.map(|alone| row.per_second / alone.per_second), 2),
                pair(row.latency, 0),
                decimals(Some(row.redis_us), 1),
            ]);
        }
        rows
    }

    fn planned(&self) -> Vec<Vec<String>> {
        let mut head = cells(&["", "is"]);
        head.extend(self.sites.iter().map(|site| site.name.to_owned()));
        let mut rows = vec![head];
        for line in &self.plan {
            let from = match line.from {
                Origin::Assumed => "assumed",
                Origin::Measured => "measured",
                Origin::Computed => "computed",
            };
            let mut row = cells(&[line.what, from]);
            row.extend(line.figures.iter().map(|figure| match (figure.is_nan(), line.decimals) {
                (true, _) => "none is enough".to_owned(),
                (false, 0) => thousands(Some(*figure)),
                (false, places) => decimals(Some(*figure), places),
            }));
            rows.push(row);
        }
        rows
    }
}

/// How many sessions, in words where they are in one bucket.
fn name(row: &SizeRow) -> String {
    match row.buckets {
        1 => format!("one bucket of {}", thousands(Some((row.sessions * IN_A_BUCKET) as f64))),
        _ => thousands(Some(row.sessions as f64)),
    }
}

fn pair(latency: Option<Latency>, places: usize) -> String {
    latency.map_or_else(String::new, |Latency { p50_us, p99_us }| {
        format!("{p50_us:.places$} / {p99_us:.places$}")
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::scale::gauge::Load;

    pub(crate) fn report() -> Report {
        let latency = Latency { p50_us: 50.0, p99_us: 120.4 };
        let load = Load { count: 10, per_second: 9000.0, redis_us: 7.0, ..Load::default() };
        let size = |sessions, buckets| SizeRow {
            sessions,
            buckets,
            encoded_bytes: 500,
            bytes: 750.0,
            resident_bytes: 800.0,
            create: load,
            read: latency,
            cached: latency,
            write: latency,
            reads: load,
            writes: load,
            sweep: load,
            announced: load,
            idle_sweep: load,
            count: load,
            cached_bytes: 1500.0,
        };
        let nodes = |nodes| NodesRow {
            nodes,
            writes: load,
            seen: (nodes > 1).then_some(latency),
            ..NodesRow::default()
        };
        let writers = |writers, per_second| WritersRow {
            writers,
            nodes: 1,
            per_second,
            acknowledged: 5,
            ..WritersRow::default()
        };
        let machine =
            Machine { cpu: "a cpu".into(), cores: 2, memory_gib: 1.0, kernel: String::new() };
        Report::new(
            vec![size(1000, 256), size(1_000_000, 256), size(390_625, 1)],
            vec![nodes(1), nodes(8)],
            vec![writers(1, 100.0), writers(64, 150.0)],
            (Versions::default(), machine, true),
        )
    }

    fn block(name: &str) -> String {
        report().blocks().into_iter().find(|(other, _)| *other == name).unwrap().1
    }

    #[test]
    fn ten_millions_are_computed_and_one_bucket_is_told_by_what_it_is_of() {
        let memory = block("memory");
        assert!(memory.contains("| one bucket of 100,000,000 "), "{memory}");
        let paper = memory.lines().find(|line| line.starts_with("| 10,000,000 ")).unwrap();
        assert!(paper.contains("computed") && paper.contains("7152.6"), "{paper}");
    }

    #[test]
    fn writers_are_compared_with_one_alone() {
        let writers = block("writers");
        assert!(writers.lines().last().unwrap().contains("1.50"), "{writers}");
    }

    #[test]
    fn what_does_not_apply_is_empty_and_a_quick_run_says_so() {
        let nodes = block("nodes");
        assert_eq!(nodes.matches("50 / 120").count(), 1, "{nodes}");
        assert!(block("conditions").starts_with("**A quick run"));
    }
}
