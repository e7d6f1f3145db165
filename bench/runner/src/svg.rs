//! The chart: what a session costs the server, as horizontal bars, one panel for each case.

use std::fmt::Write as _;

use crate::app::{BASE, Case};
use crate::report::{Report, Row};

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
/// Where bars begin: names stand before.
const BARS: f64 = 190.0;
/// How long the longest bar is; its figure stands behind.
const LONGEST: f64 = 560.0;
const BAR: f64 = 18.0;
const STEP: f64 = 27.0;
const HEAD: f64 = 74.0;
const PANEL_HEAD: f64 = 40.0;
const FOOT: f64 = 34.0;

/// A bar that is longer than bare axum's by more than this is cut, and shows that it is: beside
/// it, the others could not be told apart.
const CUT: f64 = 12.0;
/// Where the gap of a cut bar is, from its end, and how far it leans.
const GAP: f64 = 60.0;
const LEAN: f64 = 5.0;

/// Colours that are read on white and, where the reader's system is dark, on black.
const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328;\
font-size:13px}.title{font-size:17px;font-weight:600}.panel{font-size:14px;font-weight:600}\
.note{fill:#59636e;font-size:12px}.name,.base-name{text-anchor:end}.ours{fill:#0f766e}\
.peer{fill:#b6c2cf}.base{fill:#7d8b99}.line{stroke:#7d8b99;stroke-dasharray:3 3}\
.strong{font-weight:600}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}\
.ours{fill:#2dd4bf}.peer{fill:#4b5763}.base{fill:#8b97a3}.line{stroke:#8b97a3}}";

/// A bar: a name, a figure, and whose it is.
struct Bar<'a> {
    name: &'a str,
    us: f64,
    class: &'static str,
}

/// Draws the CPU of the server per request for reading and writing.
pub(crate) fn chart(report: &Report) -> String {
    let panels: Vec<(&str, Vec<Bar<'_>>)> = [
        (Case::Read, "Reading one attribute of a stored session"),
        (Case::Write, "Writing one attribute of a stored session"),
    ]
    .into_iter()
    .map(|(case, title)| (title, bars(report, case)))
    .filter(|(_, bars)| !bars.is_empty())
    .collect();
    let rows: usize = panels.iter().map(|(_, bars)| bars.len()).sum();
    let height = HEAD + panels.len() as f64 * PANEL_HEAD + rows as f64 * STEP + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>Server CPU per request by \
         session library</title>\n<style>{STYLE}</style>\n"
    );
    text(&mut svg, MARGIN, 34.0, "title", "What a request costs the server");
    text(&mut svg, MARGIN, 56.0, "note", "microseconds of CPU per request; shorter is better");
    let mut y = HEAD;
    for (title, bars) in &panels {
        y = panel(&mut svg, y, title, bars);
    }
    text(&mut svg, MARGIN, height - 14.0, "note", &foot(report));
    svg.push_str("</svg>\n");
    svg
}

/// The bars of a case, the shortest first; bare axum, without sessions, to compare with.
fn bars(report: &Report, case: Case) -> Vec<Bar<'_>> {
    let mut bars: Vec<Bar<'_>> =
        report.rows.iter().filter(|row| row.case == case.name()).filter_map(bar).collect();
    if bars.is_empty() {
        return bars;
    }
    let base = report.rows.iter().find(|row| row.app == BASE && row.case == Case::None.name());
    bars.extend(base.and_then(bar));
    bars.sort_by(|one, other| one.us.total_cmp(&other.us));
    bars
}

fn bar(row: &Row) -> Option<Bar<'_>> {
    let class = match &*row.app {
        BASE => "base",
        "cloakroom" | "cloakroom-uncached" => "ours",
        _ => "peer",
    };
    let name = if row.app == BASE { "axum, no sessions" } else { &*row.app };
    Some(Bar { name, us: row.server_us?, class })
}

/// Draws a panel from `y` on, and returns where it ends.
fn panel(svg: &mut String, y: f64, title: &str, bars: &[Bar<'_>]) -> f64 {
    let base = bars.iter().find(|bar| bar.class == "base");
    let longest = longest(bars, base.map(|bar| bar.us));
    let length = |us: f64| (us / longest * LONGEST).clamp(1.0, LONGEST);
    text(svg, MARGIN, y + 22.0, "panel", title);
    let first = y + PANEL_HEAD;
    for (number, bar) in bars.iter().enumerate() {
        let top = first + number as f64 * STEP;
        let (class, width) = (bar.class, length(bar.us));
        let shape = if bar.us > longest { cut(top) } else { whole(top, width) };
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"{shape}\"/>");
        let strong = if class == "ours" { " strong" } else { "" };
        text(svg, BARS - 10.0, top + 13.5, &format!("name{strong}"), bar.name);
        let figure = format!("{:.1}", bar.us);
        text(svg, BARS + width + 7.0, top + 13.5, strong.trim(), &figure);
    }
    let end = first + bars.len() as f64 * STEP;
    if let Some(base) = base {
        let x = BARS + length(base.us);
        let bottom = end - STEP + BAR;
        let _ = writeln!(
            svg,
            "<line class=\"line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first}\" y2=\"{bottom}\"/>"
        );
    }
    end
}

/// The longest bar that is not cut.
fn longest(bars: &[Bar<'_>], base: Option<f64>) -> f64 {
    let longest = bars.iter().map(|bar| bar.us).fold(f64::MIN_POSITIVE, f64::max);
    base.map_or(longest, |base| longest.min(CUT * base))
}

/// The path of a bar.
fn whole(top: f64, width: f64) -> String {
    format!("M{BARS} {top}h{width:.1}v{BAR}H{BARS}z")
}

/// The path of a bar that is too long: two pieces with a leaning gap between them.
fn cut(top: f64) -> String {
    let (end, bottom) = (BARS + LONGEST, top + BAR);
    let (left, right) = (end - GAP, end - GAP + LEAN);
    format!(
        "M{BARS} {top}H{}L{left} {bottom}H{BARS}zM{} {top}H{end}V{bottom}H{right}z",
        left + LEAN,
        right + LEAN,
    )
}

fn foot(report: &Report) -> String {
    let settings = &report.settings;
    format!(
        "Medians of {} rounds of {} s; {} connections, one core for the server, one for Redis and \
         the load; a session of about 500 bytes.",
        settings.rounds, settings.seconds, settings.connections
    )
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::Settings;

    fn report(rows: Vec<Row>) -> Report {
        let settings =
            Settings { rounds: 5, seconds: 4, threads: 2, connections: 64, stored_sessions: 0 };
        let machine =
            Machine { cpu: String::new(), cores: 2, memory_gib: 1.0, kernel: String::new() };
        Report { rows, versions: Default::default(), machine, settings, not_run: Vec::new() }
    }

    fn row(app: &str, case: &str, us: f64) -> Row {
        Row { app: app.to_owned(), case: case.to_owned(), server_us: Some(us), ..Row::default() }
    }

    #[test]
    fn the_shortest_bar_comes_first_and_the_longest_is_as_long_as_may_be() {
        let rows = vec![
            row("axum", "none", 5.0),
            row("slow", "read", 50.0),
            row("cloakroom", "read", 6.0),
        ];
        let svg = chart(&report(rows));
        let place = |text: &str| svg.find(text).unwrap();
        assert!(place(">axum, no sessions<") < place(">cloakroom<"));
        assert!(place(">cloakroom<") < place(">slow<"));
        assert!(svg.contains("h560.0v") && svg.contains("h56.0v"));
        assert!(!svg.contains("Writing"), "nothing was written");
    }

    #[test]
    fn a_bar_that_would_dwarf_the_others_is_cut() {
        let rows = vec![row("axum", "none", 5.0), row("slow", "read", 500.0)];
        let svg = chart(&report(rows));
        assert!(svg.contains(&whole(HEAD + PANEL_HEAD, LONGEST / CUT)), "{svg}");
        assert!(svg.contains(&cut(HEAD + PANEL_HEAD + STEP)), "{svg}");
        assert!(svg.contains(">500.0<"));
    }

    #[test]
    fn nothing_measured_is_an_empty_chart() {
        assert!(chart(&report(Vec::new())).ends_with("</svg>\n"));
    }
}
