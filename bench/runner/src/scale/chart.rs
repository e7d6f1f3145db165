//! The chart: four panels, each of one thing against its size, on a scale that doubles.

use std::fmt::Write as _;

use super::report::Report;

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
const HEAD: f64 = 74.0;
/// A panel: its place in the grid, and where its axes are in it.
const PANEL_WIDTH: f64 = 406.0;
const PANEL_HEIGHT: f64 = 236.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 44.0;

/// Colours that are read on white and, where the reader's system is dark, on black.
const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328;\
font-size:12px}.title{font-size:17px;font-weight:600}.panel{font-size:14px;font-weight:600}\
.note{fill:#59636e;font-size:12px}.tick{fill:#59636e;font-size:11px}.y{text-anchor:end}\
.x{text-anchor:middle}.grid{stroke:#d8dee4}.line{fill:none;stroke-width:2}.s0{stroke:#0f766e}\
.s1{stroke:#7d8b99}.s2{stroke:#b45309}.d0{fill:#0f766e}.d1{fill:#59636e}.d2{fill:#b45309}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note,.tick{fill:#9198a1}.grid{stroke:#30363d}\
.s0{stroke:#2dd4bf}.s1{stroke:#8b97a3}.s2{stroke:#fbbf24}.d0{fill:#2dd4bf}.d1{fill:#8b97a3}\
.d2{fill:#fbbf24}}";

/// What is drawn as one line: its name, and where it goes through.
type Series = (&'static str, Vec<(f64, f64)>);

/// One panel.
#[derive(Clone)]
struct Panel {
    title: &'static str,
    note: &'static str,
    series: Vec<Series>,
}

/// Draws what was measured.
pub(crate) fn chart(report: &Report) -> String {
    let mut panels = [memory(report), latency(report), nodes(report), writers(report)].to_vec();
    panels.retain(|panel| panel.series.iter().any(|(_, points)| !points.is_empty()));
    let height = HEAD + panels.len().div_ceil(2) as f64 * PANEL_HEIGHT + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>Cloakroom against \
         size</title>\n<style>{STYLE}</style>\n"
    );
    text(&mut svg, MARGIN, 34.0, "title", "What grows, and what does not");
    let note = "sessions of about 500 bytes; one Redis on one core, all nodes on another";
    text(&mut svg, MARGIN, 56.0, "note", note);
    for (number, panel) in panels.iter().enumerate() {
        let x = MARGIN + (number % 2) as f64 * PANEL_WIDTH;
        let y = HEAD + (number / 2) as f64 * PANEL_HEIGHT;
        draw(&mut svg, x, y, panel);
    }
    svg.push_str("</svg>\n");
    svg
}

fn memory(report: &Report) -> Panel {
    let of = |figure: fn(&super::sizes::SizeRow) -> f64| {
        let rows = report.sessions.iter().filter(|row| row.buckets > 1);
        rows.map(|row| (row.sessions as f64, figure(row))).collect()
    };
    Panel {
        title: "Bytes in Redis for a session",
        note: "sessions",
        series: vec![
            ("used_memory", of(|row| row.bytes)),
            ("its record", of(|row| row.encoded_bytes as f64)),
        ],
    }
}

fn latency(report: &Report) -> Panel {
    let of = |figure: fn(&super::sizes::SizeRow) -> f64| {
        let rows = report.sessions.iter().filter(|row| row.buckets > 1);
        rows.map(|row| (row.sessions as f64, figure(row))).collect()
    };
    Panel {
        title: "Latency of one request, p50, us",
        note: "sessions",
        series: vec![
            ("cached read", of(|row| row.cached.p50_us)),
            ("read", of(|row| row.read.p50_us)),
            ("write", of(|row| row.write.p50_us)),
        ],
    }
}

fn nodes(report: &Report) -> Panel {
    let rows = || report.nodes.iter().map(|row| row.nodes as f64);
    let cost = rows().zip(report.nodes.iter().map(|row| row.writes.redis_us)).collect();
    let told = rows().zip(report.nodes.iter().map(|row| row.invalidations)).collect();
    Panel {
        title: "A write that every node has cached",
        note: "nodes",
        series: vec![("Redis us", cost), ("nodes told", told)],
    }
}

fn writers(report: &Report) -> Panel {
    let of = |nodes: u64| {
        let rows = report.writers.iter().filter(move |row| row.nodes == nodes);
        rows.map(|row| (row.writers as f64, row.per_second)).collect()
    };
    Panel {
        title: "Increments of one attribute per second",
        note: "writers",
        series: vec![("on one node", of(1)), ("on four", of(4))],
    }
}

/// Draws a panel at its place.
fn draw(svg: &mut String, x: f64, y: f64, panel: &Panel) {
    let points = || panel.series.iter().flat_map(|(_, points)| points);
    let low = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let high = points().map(|point| point.0).fold(low, f64::max);
    let top = ceiling(points().map(|point| point.1).fold(0.0, f64::max));
    let (width, height) = (PANEL_WIDTH - LEFT - RIGHT, PANEL_HEIGHT - TOP - BOTTOM);
    let (left, bottom) = (x + LEFT, y + PANEL_HEIGHT - BOTTOM);
    let across = |value: f64| left + place(value, low, high) * width;
    let up = |value: f64| bottom - value / top * height;
    text(svg, x, y + 22.0, "panel", panel.title);
    for tick in [0.0, 0.5, 1.0].map(|part| part * top) {
        let (level, end) = (up(tick), left + width);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{end:.1}\" y1=\"{level:.1}\" y2=\"{level:.1}\"/>"
        );
        text(svg, left - 8.0, level + 4.0, "tick y", &short(tick));
    }
    let longest = panel.series.iter().max_by_key(|(_, points)| points.len());
    for (value, _) in longest.map(|(_, points)| points.as_slice()).unwrap_or_default() {
        text(svg, across(*value), bottom + 17.0, "tick x", &short(*value));
    }
    text(svg, left + width / 2.0, bottom + 34.0, "note x", panel.note);
    let ends = panel.series.iter().map(|(_, points)| points.last().map_or(bottom, |end| up(end.1)));
    let labels = apart(&ends.collect::<Vec<_>>());
    for (number, (name, points)) in panel.series.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1} {:.1}", across(point.0), up(point.1)))
            .collect();
        if path.is_empty() {
            continue;
        }
        let _ = writeln!(svg, "<path class=\"line s{number}\" d=\"M{}\"/>", path.join("L"));
        for point in points {
            let (x, y) = (across(point.0), up(point.1));
            let _ =
                writeln!(svg, "<circle class=\"d{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
        }
        text(svg, left + width + 10.0, labels[number] + 4.0, &format!("d{number}"), name);
    }
}

/// Where a value is between two others, on a scale of doublings: from 0 to 1.
fn place(value: f64, low: f64, high: f64) -> f64 {
    if high <= low { 0.5 } else { (value / low).ln() / (high / low).ln() }
}

/// The next round number: 1, 2, 3, 4, 5, 6 or 8 and zeros.
fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let zeros = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * zeros).find(|round| *round >= value).unwrap_or(value)
}

/// Moves labels apart that would lie on each other, downwards, and keeps their order.
fn apart(levels: &[f64]) -> Vec<f64> {
    const LEAST: f64 = 14.0;
    let mut order: Vec<usize> = (0..levels.len()).collect();
    order.sort_by(|one, other| levels[*one].total_cmp(&levels[*other]));
    let (mut moved, mut lowest) = (levels.to_vec(), f64::NEG_INFINITY);
    for number in order {
        moved[number] = levels[number].max(lowest + LEAST);
        lowest = moved[number];
    }
    moved
}

/// A number in as few characters as it takes.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::report::tests::report;

    #[test]
    fn every_panel_is_drawn() {
        let svg = chart(&report());
        assert_eq!(svg.matches("class=\"panel\"").count(), 4);
        assert!(svg.contains(">cached read<") && svg.contains(">nodes told<"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn nothing_measured_is_an_empty_chart() {
        let mut report = report();
        (report.sessions, report.nodes, report.writers) = Default::default();
        assert!(!chart(&report).contains("class=\"panel\""));
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (value, round) in [(0.0, 1.0), (1.0, 1.0), (61.0, 80.0), (850.0, 1000.0), (0.35, 0.4)] {
            assert!((ceiling(value) - round).abs() < 1e-9, "{value}");
        }
        assert_eq!([short(1500.0), short(2e6), short(0.5)], ["1.5k", "2M", "0.5"]);
        assert!((place(10.0, 1.0, 100.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn labels_do_not_lie_on_each_other() {
        assert_eq!(apart(&[100.0, 95.0, 10.0]), [109.0, 95.0, 10.0]);
    }
}
