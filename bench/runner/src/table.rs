//! The tables, as Markdown that is also read well as text.

use std::fmt::Write as _;

use crate::app::{BASE, Case, PEER};
use crate::info::Calls;
use crate::report::{Report, Row};

/// What is written where a figure does not apply.
const NOTHING: &str = "";

/// All tables of a report, and what was not run.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for case in Case::ALL.into_iter().filter(|case| *case != Case::Contended) {
        section(&mut text, title(case), &speed(report, case));
    }
    section(&mut text, title(Case::Contended), &contended(report));
    section(&mut text, "What a stored session takes", &memory(report));
    for failure in report.failures() {
        let _ = writeln!(text, "FAILED: {failure}\n");
    }
    for app in &report.not_run {
        let _ = writeln!(text, "Not run: {}. {}\n", app.app, app.reason);
    }
    text.push_str(&conditions(report));
    text
}

fn title(case: Case) -> &'static str {
    match case {
        Case::None => "No sessions",
        Case::Unused => "A route that does not use its session",
        Case::Read => "Reading one attribute",
        Case::Write => "Writing one attribute",
        Case::Login => "Signing in",
        Case::Contended => "64 connections incrementing one attribute of one session",
    }
}

fn section(text: &mut String, title: &str, rows: &[Vec<String>]) {
    if rows.len() > 1 {
        let _ = writeln!(text, "### {title}\n\n{}", table(rows));
    }
}

fn speed(report: &Report, case: Case) -> Vec<Vec<String>> {
    let peer = format!("x {PEER}");
    let base = format!("x bare {BASE}");
    let mut rows = vec![cells(&[
        "app",
        "requests/s",
        &peer,
        "server us",
        &base,
        "Redis us",
        "Redis commands",
        "p50 us",
        "p99 us",
    ])];
    for row in report.rows.iter().filter(|row| row.case == case.name()) {
        rows.push(vec![
            row.app.clone(),
            thousands(row.rps),
            decimals(row.rps_ratio, 2),
            decimals(row.server_us, 1),
            decimals(row.server_ratio, 2),
            decimals(row.redis_us, 1),
            commands(row),
            thousands(row.p50_us),
            thousands(row.p99_us),
        ]);
    }
    rows
}

fn contended(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![cells(&[
        "app",
        "acknowledged",
        "lost",
        "lost %",
        "increments/s",
        "one client/s",
        "server us",
        "Redis us",
    ])];
    for row in report.rows.iter().filter(|row| row.acknowledged.is_some()) {
        let acknowledged = row.acknowledged.map(|count| count as f64);
        let lost = row.lost.map(|count| count as f64);
        let part = lost.zip(acknowledged).map(|(lost, all)| 100.0 * lost / all.max(1.0));
        rows.push(vec![
            row.app.clone(),
            thousands(acknowledged),
            thousands(lost),
            decimals(part, 1),
            thousands(row.rps),
            thousands(row.alone_rps),
            decimals(row.server_us, 1),
            decimals(row.redis_us, 1),
        ]);
    }
    rows
}

fn memory(report: &Report) -> Vec<Vec<String>> {
    let peer = format!("x {PEER}");
    let mut rows = vec![cells(&[
        "app",
        "bytes in Redis",
        &peer,
        "bytes in the process's cache",
        "encoded bytes",
        "x encoded",
    ])];
    let mut stored: Vec<&Row> = report.rows.iter().filter(|row| row.bytes.is_some()).collect();
    stored.dedup_by_key(|row| row.app.clone());
    let mut seen = Vec::new();
    stored.retain(|row| {
        !seen.contains(&&row.app) && {
            seen.push(&row.app);
            true
        }
    });
    let base = stored.iter().find(|row| row.app == PEER).and_then(|row| row.bytes);
    for row in &stored {
        let ratio = row.bytes.zip(base).map(|(bytes, base)| bytes / base);
        let cached = row.cached_bytes.zip(row.encoded_bytes);
        rows.push(vec![
            row.app.clone(),
            thousands(row.bytes),
            decimals(ratio, 2),
            thousands(row.cached_bytes),
            thousands(row.encoded_bytes),
            decimals(cached.map(|(cached, encoded)| cached / encoded), 2),
        ]);
    }
    rows
}

/// What clients send; where that was not seen, every call.
fn commands(row: &Row) -> String {
    let all = |calls: &Calls| {
        let each = calls.iter().map(|(name, calls)| match calls.round() {
            whole if (calls - whole).abs() > 0.05 => format!("{calls:.2} {name}"),
            whole => format!("{whole} {name}"),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let text = all(row.sent.as_ref().unwrap_or(&row.commands));
    if text.is_empty() { "0".to_owned() } else { text }
}

/// How, with what and on what it was measured.
fn conditions(report: &Report) -> String {
    let (machine, settings) = (&report.machine, &report.settings);
    let versions: Vec<String> =
        report.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "Medians of {} rounds of {} s, wrk -t{} -c{}; server on core 0, Redis and the load on core \
         1 of {} ({} cores, {} GiB, Linux {}).\n\n{}.\n",
        settings.rounds,
        settings.seconds,
        settings.threads,
        settings.connections,
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        versions.join(", "),
    )
}

/// A Markdown table, the first row its head; the first column to the left, all others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().map(|row| cell(row, column).len()).max().unwrap_or_default().max(3)
        })
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, width) in widths.iter().enumerate() {
            let _ = match column {
                0 => write!(text, "| {:<width$} |", cell(row, column)),
                _ => write!(text, " {:>width$} |", cell(row, column)),
            };
        }
        text.push('\n');
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width - 1);
                let _ = match column {
                    0 => write!(text, "| {dashes}- |"),
                    _ => write!(text, " {dashes}: |"),
                };
            }
            text.push('\n');
        }
    }
    text
}

pub(crate) fn cells(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(crate) fn decimals(figure: Option<f64>, places: usize) -> String {
    figure.map_or_else(|| NOTHING.to_owned(), |figure| format!("{figure:.places$}"))
}

/// A whole number with a comma before each three digits.
pub(crate) fn thousands(figure: Option<f64>) -> String {
    let Some(figure) = figure else { return NOTHING.to_owned() };
    let digits = format!("{:.0}", figure.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if figure < 0.0 && digits != "0" { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_easily() {
        assert_eq!(thousands(Some(1_234_567.4)), "1,234,567");
        assert_eq!(thousands(Some(999.0)), "999");
        assert_eq!(thousands(Some(-1234.0)), "-1,234");
        assert_eq!(thousands(Some(-0.2)), "0");
        assert_eq!(thousands(None), "");
        assert_eq!(decimals(Some(1.005), 1), "1.0");
    }

    #[test]
    fn columns_stand_in_line() {
        let rows = vec![cells(&["app", "requests/s"]), cells(&["cloakroom", "1"])];
        let expected =
            "| app       | requests/s |\n| --------- | ---------: |\n| cloakroom |          1 |\n";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn commands_are_what_clients_send() {
        let calls = |calls: &[(&str, f64)]| {
            calls.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect::<Calls>()
        };
        let mut row = Row { commands: calls(&[("get", 0.5), ("evalsha", 1.0)]), ..Row::default() };
        assert_eq!(commands(&row), "1 evalsha, 0.50 get");
        row.sent = Some(calls(&[("evalsha", 1.0)]));
        assert_eq!(commands(&row), "1 evalsha");
        row.sent = Some(Calls::new());
        assert_eq!(commands(&row), "0");
    }
}
