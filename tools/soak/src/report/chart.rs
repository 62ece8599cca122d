//! The chart: what happened over time.

use crate::checks::Evidence;
use crate::clock::{Micros, SECOND};
use crate::usage::Reading;
use crate::world::Service;
use std::fmt::Write;

const LEFT: f64 = 170.0;
const WIDTH: f64 = 660.0;
const HEIGHT: f64 = 90.0;
const BLUE: &str = "#2a6f97";
const GREY: &str = "#a9a9a9";
const ORANGE: &str = "#e09f3e";
const RED: &str = "#9e2a2b";
const STATUSES: [(&str, &str); 4] =
    [("200", BLUE), ("429", GREY), ("other 4xx", ORANGE), ("5xx", RED)];

fn group(status: u64) -> &'static str {
    match status {
        ..400 => "200",
        429 => "429",
        400..500 => "other 4xx",
        _ => "5xx",
    }
}

type Value = fn(&Reading) -> f64;
const USAGE: [(&str, Value); 2] = [
    ("memory, MiB", |reading| number(reading.kib) / 1024.0),
    ("file descriptors", |reading| number(reading.descriptors)),
];

/// An SVG image.
pub(crate) fn draw(evidence: &Evidence) -> String {
    let scale = Scale { begin: evidence.plan.begin, end: evidence.plan.end };
    let mut body = String::new();
    let mut y = 34.0;
    let mut legend = String::new();
    for (place, (name, colour)) in STATUSES.iter().enumerate() {
        let x = LEFT + 110.0 * f64::from(u32::try_from(place).unwrap_or(0));
        let _ = writeln!(
            legend,
            "<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"17\">{name}</text>",
            x + 14.0
        );
    }
    let series: Vec<Series> = STATUSES
        .iter()
        .map(|(name, colour)| {
            let of = evidence.lines.iter().filter(|line| group(line.status) == *name);
            Series { colour, points: scale.per_second(of.map(|line| line.at)) }
        })
        .collect();
    panel(&mut body, &scale, &mut y, "replies per second", &series);
    faults(&mut body, &scale, &mut y, evidence);
    for (name, value) in USAGE {
        let first = evidence.survivors[0];
        let of = |is_first: bool| {
            let readings =
                evidence.usage.iter().filter(move |one| (one.instance == first) == is_first);
            readings.map(|reading| (reading.at, value(reading))).collect()
        };
        let series =
            [Series { colour: GREY, points: of(false) }, Series { colour: BLUE, points: of(true) }];
        panel(&mut body, &scale, &mut y, name, &series);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 {y}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>A long run: replies, faults, memory and file descriptors over time</title>\n\
         <rect width=\"860\" height=\"{y}\" fill=\"#ffffff\"/>\n{legend}{body}</svg>\n"
    )
}

struct Series {
    colour: &'static str,
    points: Vec<(Micros, f64)>,
}

struct Scale {
    begin: Micros,
    end: Micros,
}

impl Scale {
    fn x(&self, at: Micros) -> f64 {
        let at = at.clamp(self.begin, self.end) - self.begin;
        LEFT + number(at) / number(self.end - self.begin) * WIDTH
    }

    fn per_second(&self, times: impl Iterator<Item = Micros>) -> Vec<(Micros, f64)> {
        let seconds = usize::try_from((self.end - self.begin) / SECOND).unwrap_or(0);
        let mut counts = vec![0.0; seconds];
        for at in times {
            let second = usize::try_from(at.saturating_sub(self.begin) / SECOND).unwrap_or(0);
            if let Some(count) = counts.get_mut(second) {
                *count += 1.0;
            }
        }
        let begin = self.begin;
        (0_u64..).map(|second| begin + second * SECOND).zip(counts).collect()
    }
}

fn panel(body: &mut String, scale: &Scale, y: &mut f64, name: &str, series: &[Series]) {
    let values = series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    let most = values.fold(1.0, f64::max);
    let (top, bottom) = (*y, *y + HEIGHT);
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
         <text x=\"{x}\" y=\"{}\" text-anchor=\"end\" font-size=\"10\">{most:.0}</text>\
         <text x=\"{x}\" y=\"{bottom}\" text-anchor=\"end\" font-size=\"10\">0</text>\
         <line x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{}\" y2=\"{bottom}\" stroke=\"#555555\"/>",
        top + HEIGHT / 2.0,
        top + 10.0,
        LEFT + WIDTH,
        x = LEFT - 8.0,
    );
    for Series { colour, points } in series {
        let mut path = String::new();
        for (at, value) in points {
            let _ = write!(path, "{:.1},{:.1} ", scale.x(*at), bottom - value / most * HEIGHT);
        }
        let _ = writeln!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>",
            path.trim_end()
        );
    }
    *y = bottom + 24.0;
}

/// A row of bars for each service, and one for what was done to the instances.
fn faults(body: &mut String, scale: &Scale, y: &mut f64, evidence: &Evidence) {
    let rows = Service::ALL.map(Some).into_iter().chain([None]);
    for row in rows {
        let name = row.map_or("other changes", Service::name);
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
            LEFT - 8.0,
            *y + 10.0
        );
        for incident in evidence.incidents.iter().filter(|incident| incident.service == row) {
            let (from, to) = (scale.x(incident.from), scale.x(incident.to));
            let colour = if row.is_some() { RED } else { GREY };
            let _ = writeln!(
                body,
                "<rect x=\"{from:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"12\" fill=\"{colour}\"><title>{}</title></rect>",
                (to - from).max(1.0),
                incident.what
            );
        }
        *y += 16.0;
    }
    *y += 20.0;
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(value: u64) -> f64 {
    value as f64
}
