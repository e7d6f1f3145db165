//! The chart: requests per second of each way to the service, as horizontal bars.

use std::fmt::Write as _;

use super::report::{Report, Row};
use super::ways::{BARE, PLAIN};
use crate::table::thousands;

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
/// Where bars begin: names stand before.
const BARS: f64 = 210.0;
/// How long the longest bar is; its figure stands behind.
const LONGEST: f64 = 500.0;
const BAR: f64 = 18.0;
const STEP: f64 = 27.0;
const HEAD: f64 = 78.0;
const FOOT: f64 = 34.0;

/// Colours that are read on white and, where the reader's system is dark, on black.
const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328;\
font-size:13px}.title{font-size:17px;font-weight:600}.note{fill:#59636e;font-size:12px}\
.name{text-anchor:end}.ours{fill:#0f766e}.peer{fill:#b6c2cf}.base{fill:#7d8b99}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.ours{fill:#2dd4bf}\
.peer{fill:#4b5763}.base{fill:#8b97a3}}";

/// Draws what was measured.
pub(super) fn chart(report: &Report) -> String {
    let height = HEAD + report.rows.len() as f64 * STEP + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>Requests per second by way to \
         the service</title>\n<style>{STYLE}</style>\n"
    );
    text(&mut svg, MARGIN, 34.0, "title", "A signed-in user's requests through one core");
    let note = "requests per second, and times plain nginx, which asks nobody; longer is better";
    text(&mut svg, MARGIN, 56.0, "note", note);
    let most = report.rows.iter().filter_map(|row| row.rps).fold(f64::MIN_POSITIVE, f64::max);
    for (number, row) in report.rows.iter().enumerate() {
        bar(&mut svg, HEAD + number as f64 * STEP, row, most);
    }
    let settings = report.settings;
    let foot = format!(
        "Medians of {} rounds of {} s. \"a + b\": proxy a asks b about every request.",
        settings.rounds, settings.seconds
    );
    text(&mut svg, MARGIN, height - 12.0, "note", &foot);
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, top: f64, row: &Row, most: f64) {
    let Some(rps) = row.rps else { return };
    let class = match row.way.as_str() {
        PLAIN | BARE => "base",
        way if way.contains("cloakroom") => "ours",
        _ => "peer",
    };
    let width = (rps / most * LONGEST).clamp(1.0, LONGEST);
    let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{BARS} {top}h{width:.1}v{BAR}H{BARS}z\"/>");
    text(svg, BARS - 10.0, top + 13.5, "name", &row.way);
    let ratio = row.x_plain.map_or_else(String::new, |ratio| format!("   {ratio:.2}"));
    let figure = format!("{}{ratio}", thousands(Some(rps)));
    text(svg, BARS + width + 7.0, top + 13.5, "", &figure);
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_is_as_long_as_may_be_and_what_was_not_measured_has_no_bar() {
        let svg = chart(&super::super::report::tests::report());
        assert!(svg.contains("h500.0v") && !svg.contains("NaN"), "{svg}");
        assert_eq!(svg.matches("<path").count(), 3, "{svg}");
    }
}
