//! The chart: ratios to the bare program, as bars.

use crate::measure::number;
use crate::programs::BARE;
use crate::results::{Measured, Results};
use std::fmt::Write;

type Value = fn(&Measured) -> Option<f64>;

const MEASURES: [(&str, Value); 5] = [
    ("start to first reply, TLS", |program| Some(program.tls.first_reply_ms.median)),
    ("instructions, start to first reply", |program| {
        program.plain.instructions.map(|counted| counted.start)
    }),
    ("instructions per further request", |program| {
        program.plain.instructions.map(|counted| counted.request)
    }),
    ("peak memory", |program| Some(program.tls.warm.peak_mib)),
    ("zip", |program| Some(program.zip_mb)),
];
const BARS: [(&str, &str); 3] = [("function", "#2a6f97"), (BARE, "#a9a9a9"), ("boto3", "#e09f3e")];
/// Longer bars are cut off.
const LONGEST: f64 = 3.0;
const UNIT: f64 = 150.0;
const LEFT: f64 = 240.0;

/// An SVG image.
pub(crate) fn draw(results: &Results) -> String {
    let mut body = String::new();
    let mut y = 34.0;
    for (name, value) in MEASURES {
        let Some(bare) = results.program(BARE).and_then(value) else { continue };
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
            LEFT - 8.0,
            y + 22.0
        );
        for (program, colour) in BARS {
            let Some(ratio) = results.program(program).and_then(value).map(|value| value / bare)
            else {
                continue;
            };
            let width = ratio.min(LONGEST) * UNIT;
            let more = if ratio > LONGEST { " »" } else { "" };
            let _ = writeln!(
                body,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"10\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"10\">{ratio:.2}{more}</text>",
                LEFT + width + 4.0,
                y + 9.0
            );
            y += 12.0;
        }
        y += 12.0;
    }
    let mut legend = String::new();
    for (place, (program, colour)) in BARS.into_iter().enumerate() {
        let Some(measured) = results.program(program) else { continue };
        let x = LEFT + 190.0 * number(u64::try_from(place).unwrap_or(0));
        let label = measured.label.replace('`', "");
        let _ = writeln!(
            legend,
            "<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"17\">{label}</text>",
            x + 14.0
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 {y}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Ratios to the bare program; shorter is better</title>\n\
         <rect width=\"860\" height=\"{y}\" fill=\"#ffffff\"/>\n{legend}{body}\
         <line x1=\"{x}\" y1=\"26\" x2=\"{x}\" y2=\"{y}\" stroke=\"#555555\" stroke-dasharray=\"3 3\"/>\n</svg>\n",
        x = LEFT + UNIT
    )
}
