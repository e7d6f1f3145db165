//! One run from the builds to the report: every app in turn, round after round.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::app::{App, Case, Places};
use crate::machine::{Machine, versions};
use crate::measure::Subject;
use crate::options::Options;
use crate::prepare::{self, Obstacle};
use crate::process::{Core, stay_on};
use crate::report::{NotRun, Report, Results, Settings};
use crate::wrk::{CONNECTIONS, THREADS};
use crate::{svg, table};

/// The round that warms up, and is thrown away.
const WARM_UP: usize = 0;

/// A run under way.
struct Run<'a> {
    options: &'a Options,
    places: Places,
    folder: &'a Path,
    subjects: Vec<Subject>,
    results: Results,
    not_run: Vec<NotRun>,
    failures: Vec<String>,
}

/// Does all that the command line asks for; returns what has failed on the way.
///
/// # Errors
///
/// Where there is nothing to report, or the report cannot be written.
pub(crate) async fn run(options: &Options) -> Result<Vec<String>, Box<dyn Error>> {
    let folder = tempfile::Builder::new().prefix("cloakroom-bench-").tempdir()?;
    let mut run = Run {
        options,
        places: Places::here(),
        folder: folder.path(),
        subjects: Vec::new(),
        results: Results::default(),
        not_run: Vec::new(),
        failures: Vec::new(),
    };
    let built = run.build().await;
    // Not before: the builds may use every core.
    stay_on(Core::Load)?;
    run.start(&built).await;
    if run.subjects.is_empty() {
        return Err("none of the apps runs".into());
    }
    run.measure().await;
    run.look_closely().await;
    let report = run.report(&built);
    let text = table::markdown(&report);
    println!("{text}");
    write(options, &report, &text)?;
    let mut failures = run.failures;
    failures.extend(report.failures());
    Ok(failures)
}

impl Run<'_> {
    /// Builds every app, and returns those that are there.
    async fn build(&mut self) -> Vec<App> {
        let mut built = Vec::new();
        for app in self.options.apps() {
            if !self.options.cases().iter().any(|case| app.takes(*case)) {
                continue;
            }
            eprintln!("building {}", app.name);
            match prepare::build(&app, &self.places).await {
                Ok(()) => built.push(app),
                Err(obstacle) => self.leave_out(app, &obstacle),
            }
        }
        built
    }

    async fn start(&mut self, apps: &[App]) {
        for app in apps {
            eprintln!("starting {}", app.name);
            let started = async {
                let mut subject = Subject::start(*app, &self.places, self.folder).await?;
                subject.check().await?;
                std::io::Result::Ok(subject)
            };
            match started.await {
                Ok(subject) => self.subjects.push(subject),
                Err(error) => {
                    let reason = format!("It does not do what is measured: {error}");
                    self.leave_out(*app, &Obstacle::Broken(reason));
                }
            }
        }
    }

    fn leave_out(&mut self, app: App, obstacle: &Obstacle) {
        let reason = obstacle.reason().to_owned();
        eprintln!("not run: {}. {reason}", app.name);
        if matches!(obstacle, Obstacle::Broken(_)) {
            self.failures.push(format!("{}: {reason}", app.name));
        }
        self.not_run.push(NotRun { app: app.name.to_owned(), reason });
    }

    /// Every case of every app in every round. Each round begins with another app, so that none
    /// always comes after the same.
    async fn measure(&mut self) {
        let rounds = usize::try_from(self.options.rounds).unwrap_or(usize::MAX);
        for round in WARM_UP..=rounds {
            for case in self.options.cases() {
                for number in 0..self.subjects.len() {
                    let number = (number + round) % self.subjects.len();
                    self.measure_one(round, case, number).await;
                }
            }
        }
    }

    async fn measure_one(&mut self, round: usize, case: Case, number: usize) {
        let subject = &mut self.subjects[number];
        let name = subject.app.name;
        if !subject.app.takes(case) {
            return;
        }
        match subject.measure(case, self.options.seconds, self.folder).await {
            Ok(sample) => {
                let round_name =
                    if round == WARM_UP { "warm-up".to_owned() } else { format!("round {round}") };
                eprintln!(
                    "{round_name}: {name} {}: {:.0} requests/s, {:.1} us, Redis {:.1} us",
                    case.name(),
                    sample.rps,
                    sample.server_us,
                    sample.redis_us
                );
                if sample.errors > 0 {
                    eprintln!("FAILED: {} requests without success", sample.errors);
                }
                if round != WARM_UP {
                    self.results.add(name, case, round, sample);
                }
            }
            Err(error) => self.fail(name, case.name(), &error),
        }
    }

    /// What is not measured under load: what a request sends, and what a session takes.
    async fn look_closely(&mut self) {
        let cases = self.options.cases();
        for number in 0..self.subjects.len() {
            let name = self.subjects[number].app.name;
            for case in cases.iter().copied().filter(|case| *case != Case::Contended) {
                let subject = &mut self.subjects[number];
                if !subject.app.takes(case) {
                    continue;
                }
                match subject.sent(case).await {
                    Ok(sent) => drop(self.results.sent.insert((name, case), sent)),
                    Err(error) => self.fail(name, case.name(), &error),
                }
            }
            if self.options.bytes == 0 || self.subjects[number].app.takes(Case::None) {
                continue;
            }
            eprintln!("storing {} sessions of {name}", self.options.bytes);
            let subject = &mut self.subjects[number];
            match subject.memory(self.options.bytes, &self.places, self.folder).await {
                Ok(memory) => drop(self.results.memory.insert(name, memory)),
                Err(error) => self.fail(name, "memory", &error),
            }
        }
    }

    fn fail(&mut self, app: &str, what: &str, error: &std::io::Error) {
        eprintln!("FAILED: {app} {what}: {error}");
        self.failures.push(format!("{app} {what}: {error}"));
    }

    fn report(&self, apps: &[App]) -> Report {
        Report {
            rows: self.results.rows(),
            versions: versions(apps, &self.places),
            machine: Machine::here(),
            settings: Settings {
                rounds: self.options.rounds,
                seconds: self.options.seconds,
                threads: THREADS,
                connections: CONNECTIONS,
                stored_sessions: self.options.bytes,
            },
            not_run: self.not_run.clone(),
        }
    }
}

fn write(options: &Options, report: &Report, text: &str) -> Result<(), Box<dyn Error>> {
    let svg = || svg::chart(report);
    let json = serde_json::to_string_pretty(report)? + "\n";
    for (path, content) in
        [(&options.json, json), (&options.svg, svg()), (&options.markdown, text.to_owned())]
    {
        if let Some(path) = path {
            fs::write(path, content)
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        }
    }
    Ok(())
}
