//! The picture in README.md here: time against the number of binds.

use std::fmt::Write as _;

use crate::measure::{Line, Times};

/// The file's name.
pub(crate) const NAME: &str = "binds.svg";

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// Room for the numbers at the axes, left and below, and for the names on the right.
const MARGIN: (f64, f64, f64) = (56.0, 44.0, 96.0);

/// What is drawn: its name, its colour, and its share of a line.
type Curve = (&'static str, &'static str, fn(Times) -> Option<f64>);

const CURVES: [Curve; 3] = [
    ("bubblewrap", "#c2410c", |times| Some(times.reference.median)),
    ("bleb", "#1d4ed8", |times| Some(times.ours.median)),
    ("floor", "#6b7280", |times| times.floor.map(|floor| floor.median)),
];

/// Draws the lines with their numbers of binds.
pub(crate) fn draw(lines: &[(usize, Line)]) -> String {
    let points: Vec<(f64, Times)> =
        lines.iter().map(|(binds, line)| (f64::from(u32::try_from(*binds).unwrap_or_default()), line.times)).collect();
    let most = points.iter().map(|(binds, _)| *binds).fold(1.0, f64::max);
    let longest = points.iter().map(|(_, times)| times.reference.median).fold(1.0, f64::max) * 1.05;
    let (left, below, right) = MARGIN;
    let x = |binds: f64| left + binds / most * (WIDTH - left - right);
    let y = |time: f64| 12.0 + (1.0 - time / longest) * (HEIGHT - below - 12.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for part in 0..=4 {
        let (binds, time) = (most * f64::from(part) / 4.0, longest * f64::from(part) / 4.0);
        let (at_x, at_y) = (x(binds), y(time));
        _ = writeln!(svg, "<path d=\"M{left} {at_y:.1}H{:.1}\" stroke=\"#e5e7eb\"/>", WIDTH - right);
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{time:.0} ms</text>", left - 6.0, at_y + 4.0);
        _ = writeln!(svg, "<text x=\"{at_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{binds:.0}</text>", HEIGHT - below + 18.0);
    }
    let middle = left + (WIDTH - left - right) / 2.0;
    _ = writeln!(svg, "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">binds</text>", HEIGHT - 8.0);
    // Names that would lie on each other are moved apart.
    let mut lowest_name = f64::INFINITY;
    let mut names: Vec<_> = vec![];
    for (name, colour, of) in CURVES {
        let line: Vec<(f64, f64)> = points.iter().filter_map(|(binds, times)| Some((x(*binds), y(of(*times)?)))).collect();
        let path: Vec<String> = line.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        _ = writeln!(svg, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join("L"));
        for (x, y) in &line {
            _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        names.extend(line.last().map(|(_, y)| (*y, name, colour)));
    }
    names.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (at, name, colour) in names {
        let at = at.min(lowest_name - 14.0);
        lowest_name = at;
        _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>", WIDTH - right + 8.0, at + 4.0);
    }
    svg.push_str("</svg>\n");
    svg
}
