//! The figures: medians over the rounds, and ratios of what was measured in the same round.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::{BASE, Case, PEER};
use crate::info::Calls;
use crate::machine::{Machine, Versions};
use crate::measure::{Memory, Sample};
use crate::stats::{median, median_calls, paired_ratio};

/// Everything that was measured, by app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    samples: Vec<(&'static str, Case, usize, Sample)>,
    /// What a session takes.
    pub(crate) memory: BTreeMap<&'static str, Memory>,
    /// What a request sends to Redis.
    pub(crate) sent: BTreeMap<(&'static str, Case), Calls>,
}

/// The figures of one app in one case. `None` where a figure does not apply.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    /// The app's name.
    pub(crate) app: String,
    /// The case's name.
    pub(crate) case: String,
    /// Requests per second.
    pub(crate) rps: Option<f64>,
    /// Those of this app over those of tower-sessions.
    pub(crate) rps_ratio: Option<f64>,
    /// The latency that half of the requests stay under.
    pub p50_us: Option<f64>,
    /// The latency that 99 of 100 requests stay under.
    pub p99_us: Option<f64>,
    /// CPU of the server per request.
    pub(crate) server_us: Option<f64>,
    /// That of this app over that of bare axum without sessions.
    pub(crate) server_ratio: Option<f64>,
    /// CPU of Redis per request.
    pub(crate) redis_us: Option<f64>,
    /// Calls of Redis commands per request, those of scripts among them.
    pub(crate) commands: Calls,
    /// Commands that a request sends to Redis, those of scripts left out.
    pub(crate) sent: Option<Calls>,
    /// Requests that were not answered with success, over all rounds.
    pub(crate) errors: u64,
    /// Bytes of a session in Redis.
    pub(crate) bytes: Option<f64>,
    /// Bytes of a cached session in the process.
    pub(crate) cached_bytes: Option<f64>,
    /// The length of the session's string in Redis, where the app caches.
    pub(crate) encoded_bytes: Option<f64>,
    /// Increments that were answered with success, over all rounds.
    pub(crate) acknowledged: Option<u64>,
    /// Of those, how many the counter does not show.
    pub(crate) lost: Option<i64>,
    /// Increments per second of one client alone.
    pub(crate) alone_rps: Option<f64>,
}

/// An app that was not measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NotRun {
    /// Its name.
    pub(crate) app: String,
    /// Why.
    pub(crate) reason: String,
}

/// How it was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Rounds, the warm-up left out.
    pub(crate) rounds: u64,
    /// Seconds of each measurement.
    pub(crate) seconds: u64,
    /// Threads of wrk.
    pub(crate) threads: usize,
    /// Connections of wrk.
    pub(crate) connections: usize,
    /// Sessions that were stored to measure what one takes.
    pub(crate) stored_sessions: usize,
}

/// What is written as JSON.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The figures.
    pub(crate) rows: Vec<Row>,
    /// What was compared.
    pub(crate) versions: Versions,
    /// Where.
    pub(crate) machine: Machine,
    /// How.
    pub(crate) settings: Settings,
    /// What was not.
    pub(crate) not_run: Vec<NotRun>,
}

impl Report {
    /// What went wrong, in sentences; empty where nothing did.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failed = self.rows.iter().filter(|row| row.errors > 0);
        let failed = failed.map(|row| {
            format!("{} {}: {} requests without success", row.app, row.case, row.errors)
        });
        failed.collect()
    }
}

impl Results {
    /// Keeps a sample.
    pub(crate) fn add(&mut self, app: &'static str, case: Case, round: usize, sample: Sample) {
        self.samples.push((app, case, round, sample));
    }

    /// The figures of each app and case that was measured, case by case.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for case in Case::ALL {
            let mut seen = Vec::new();
            for (app, _, _, _) in self.samples.iter().filter(|(_, of, _, _)| *of == case) {
                if !seen.contains(app) {
                    seen.push(*app);
                }
            }
            seen.sort_by_key(|name| crate::app::APPS.iter().position(|app| app.name == *name));
            rows.extend(seen.into_iter().map(|app| self.row(app, case)));
        }
        rows
    }

    fn row(&self, app: &'static str, case: Case) -> Row {
        let samples: Vec<&Sample> = self.of(app, case).map(|(_, sample)| sample).collect();
        let middle = |figure: fn(&Sample) -> Option<f64>| {
            median(&samples.iter().filter_map(|sample| figure(sample)).collect::<Vec<_>>())
        };
        let calls: Vec<Calls> = samples.iter().map(|sample| sample.commands.clone()).collect();
        let counted = || samples.iter().filter_map(|sample| sample.counted);
        let is_counted = counted().next().is_some();
        let stored = matches!(case, Case::Read | Case::Write);
        let memory = self.memory.get(app).filter(|_| stored);
        Row {
            app: app.to_owned(),
            case: case.name().to_owned(),
            rps: middle(|sample| Some(sample.rps)),
            rps_ratio: self.ratio((app, case), (PEER, case), |sample| sample.rps),
            p50_us: middle(|sample| sample.latency_us.map(|(p50, _)| p50)),
            p99_us: middle(|sample| sample.latency_us.map(|(_, p99)| p99)),
            server_us: middle(|sample| Some(sample.server_us)),
            // The load of the contended case is another's, and costs the server another time.
            server_ratio: (case != Case::Contended)
                .then(|| self.ratio((app, case), (BASE, Case::None), |sample| sample.server_us))
                .flatten(),
            redis_us: middle(|sample| Some(sample.redis_us)),
            commands: median_calls(&calls),
            sent: self.sent.get(&(app, case)).cloned(),
            errors: samples.iter().map(|sample| sample.errors).sum(),
            bytes: memory.map(|memory| memory.bytes),
            cached_bytes: memory.and_then(|memory| memory.cached_bytes),
            encoded_bytes: memory.and_then(|memory| memory.encoded_bytes),
            acknowledged: is_counted.then(|| counted().map(|all| all.acknowledged).sum()),
            lost: is_counted.then(|| counted().map(|all| all.lost).sum()),
            alone_rps: middle(|sample| sample.counted.map(|all| all.alone_rps)),
        }
    }

    fn of(&self, app: &str, case: Case) -> impl Iterator<Item = (usize, &Sample)> {
        let samples = self.samples.iter().filter(move |(of, is, _, _)| *of == app && *is == case);
        samples.map(|(_, _, round, sample)| (*round, sample))
    }

    fn ratio(
        &self,
        (app, case): (&str, Case),
        (base, base_case): (&str, Case),
        figure: fn(&Sample) -> f64,
    ) -> Option<f64> {
        let of: Vec<_> = self.of(app, case).map(|(round, is)| (round, figure(is))).collect();
        let to: Vec<_> = self.of(base, base_case).map(|(round, is)| (round, figure(is))).collect();
        paired_ratio(&of, &to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Increments;

    fn sample(rps: f64, server_us: f64) -> Sample {
        Sample { rps, server_us, latency_us: Some((1.0, 2.0)), ..Sample::default() }
    }

    #[test]
    fn ratios_are_to_the_same_round() {
        let mut results = Results::default();
        for (round, slow) in [(1, 1.0), (2, 10.0), (3, 1.0)] {
            results.add(BASE, Case::None, round, sample(100.0, 5.0 * slow));
            results.add(PEER, Case::Read, round, sample(50.0, 20.0 * slow));
            results.add("cloakroom", Case::Read, round, sample(75.0, 6.0 * slow));
        }
        let rows = results.rows();
        assert_eq!(
            rows.iter().map(|row| &*row.app).collect::<Vec<_>>(),
            ["axum", "cloakroom", "tower-sessions"]
        );
        assert_eq!(rows[1].server_ratio, Some(1.2));
        assert_eq!(rows[1].rps_ratio, Some(1.5));
        assert_eq!(rows[0].rps_ratio, None);
        assert_eq!(rows[1].lost, None);
    }

    #[test]
    fn lost_increments_are_summed_and_rows_have_the_keys_that_were_agreed() {
        let mut results = Results::default();
        let counted = Some(Increments { acknowledged: 100, lost: 97, alone_rps: 9.0 });
        results.add(PEER, Case::Contended, 1, Sample { counted, ..sample(1.0, 1.0) });
        results.add(PEER, Case::Contended, 2, Sample { counted, errors: 2, ..sample(1.0, 1.0) });
        let row = &results.rows()[0];
        assert_eq!((row.acknowledged, row.lost, row.errors), (Some(200), Some(194), 2));
        let json = serde_json::to_value(row).unwrap();
        for key in ["app", "case", "rps", "server_us", "redis_us", "commands", "lost"] {
            assert!(!json[key].is_null(), "{key}");
        }
        assert!(json["bytes"].is_null() && json.as_object().unwrap().contains_key("bytes"));
    }

    #[test]
    fn memory_stands_beside_what_uses_the_stored_session() {
        let mut results = Results::default();
        results.add(PEER, Case::Read, 1, sample(1.0, 1.0));
        results.add(PEER, Case::Unused, 1, sample(1.0, 1.0));
        results.memory.insert(PEER, Memory { bytes: 700.0, ..Memory::default() });
        let rows = results.rows();
        assert_eq!((rows[0].bytes, rows[1].bytes), (None, Some(700.0)));
    }
}
