//! The chart: latency of a read, a cached read and a write of each store, on a scale of tenfolds.

use std::fmt::Write as _;

use super::report::{Report, Row};

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
/// Where the scale begins and how wide it is: names stand before it, bytes behind.
const LEFT: f64 = 130.0;
const SCALE: f64 = 590.0;
const HEAD: f64 = 96.0;
const STEP: f64 = 34.0;
const FOOT: f64 = 40.0;
/// The scale's ends, in microseconds.
const LOW: f64 = 0.1;
const HIGH: f64 = 100_000.0;

/// Colours that are read on white and, where the reader's system is dark, on black.
const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328;\
font-size:13px}.title{font-size:17px;font-weight:600}.note,.tick{fill:#59636e;font-size:12px}\
.name{text-anchor:end}.tick{text-anchor:middle}.grid{stroke:#d8dee4}.span{stroke-width:2}\
.s0{stroke:#0f766e}.s1{stroke:#7d8b99}.s2{stroke:#b45309}.d0{fill:#0f766e}.d1{fill:#59636e}\
.d2{fill:#b45309}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note,.tick{fill:#9198a1}\
.grid{stroke:#30363d}.s0{stroke:#2dd4bf}.s1{stroke:#8b97a3}.s2{stroke:#fbbf24}.d0{fill:#2dd4bf}\
.d1{fill:#8b97a3}.d2{fill:#fbbf24}}";

/// Draws what was measured.
pub(crate) fn chart(report: &Report) -> String {
    let height = HEAD + report.rows.len() as f64 * STEP + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>Latency by store</title>\n\
         <style>{STYLE}</style>\n"
    );
    text(&mut svg, MARGIN, 34.0, "title", "What a request waits for its session");
    let note = "each from the median to the 99th of a hundred; one call after another";
    text(&mut svg, MARGIN, 56.0, "note", note);
    for (number, name) in ["cached read", "read", "write"].iter().enumerate() {
        let x = LEFT + number as f64 * 110.0;
        let _ = writeln!(svg, "<circle class=\"d{number}\" cx=\"{x}\" cy=\"76\" r=\"4\"/>");
        text(&mut svg, x + 10.0, 80.0, &format!("d{number}"), name);
    }
    text(&mut svg, LEFT + SCALE + 20.0, 80.0, "note", "bytes a session");
    grid(&mut svg, height);
    for (number, row) in report.rows.iter().enumerate() {
        draw(&mut svg, HEAD + number as f64 * STEP + STEP / 2.0, row);
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(svg: &mut String, height: f64) {
    let names = ["0.1 us", "1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms"];
    for (power, name) in names.iter().enumerate() {
        let x = across(LOW * 10_f64.powi(i32::try_from(power).unwrap_or(0)));
        let bottom = height - FOOT;
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{HEAD}\" y2=\"{bottom}\"/>"
        );
        text(svg, x, bottom + 20.0, "tick", name);
    }
}

fn draw(svg: &mut String, y: f64, row: &Row) {
    text(svg, LEFT - 14.0, y + 4.5, "name", &row.name);
    let latencies = [row.speed.cached, Some(row.speed.read), Some(row.speed.write)];
    for (number, latency) in latencies.into_iter().enumerate() {
        let Some(latency) = latency else { continue };
        let (from, to) = (across(latency.p50_us), across(latency.p99_us));
        let y = y + (number as f64 - 1.0) * 7.0;
        let _ = writeln!(
            svg,
            "<line class=\"span s{number}\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" \
             y2=\"{y:.1}\"/>\n<circle class=\"d{number}\" cx=\"{from:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
        );
    }
    if let Some(bytes) = row.speed.bytes {
        text(svg, LEFT + SCALE + 20.0, y + 4.5, "", &format!("{bytes:.0}"));
    }
}

/// Where a number of microseconds is.
fn across(us: f64) -> f64 {
    LEFT + (us.clamp(LOW, HIGH) / LOW).log10() / (HIGH / LOW).log10() * SCALE
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::scale::gauge::Latency;
    use crate::stores::speed::Speed;

    #[test]
    fn every_store_is_drawn_and_nothing_is_beyond_the_scale() {
        let latency = |p50_us, p99_us| Latency { p50_us, p99_us };
        let speed = Speed {
            read: latency(50.0, 1e9),
            write: latency(0.0, 60.0),
            bytes: Some(700.0),
            ..Speed::default()
        };
        let row = |name: &str| Row {
            name: name.to_owned(),
            version: String::new(),
            speed: speed.clone(),
            outage: None,
        };
        let report =
            Report { rows: vec![row("a"), row("b")], machine: Machine::here(), quick: true };
        let svg = chart(&report);
        assert_eq!(svg.matches(">700<").count(), 2, "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!((across(0.0), across(1e9)), (LEFT, LEFT + SCALE));
    }
}
