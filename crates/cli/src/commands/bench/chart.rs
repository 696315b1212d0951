//! The figures as bars: deliveries a second beside their floors, and the CPU of each process for them.

use std::collections::BTreeSet;

use super::process::BENCH;
use super::receiver::THREAD;
use super::report::{Cpu, Delivered, Report};
use super::samples::ratio;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 230.0;
/// Of the longest bar; the rest is for its number.
const BAR: f64 = 570.0;
const LINE: f64 = 26.0;
const HEAD: f64 = 62.0;
const FLOOR: &str = "#b8bec8";
const COLORS: [&str; 6] = ["#2f6fde", "#e0862f", "#2fa36b", "#b24fc4", "#c8403c", "#5d6b7a"];

/// One scenario.
struct Scenario<'a> {
    name: String,
    drained: &'a Delivered,
    floor_per_s: Option<f64>,
}

/// An SVG document.
pub fn svg(report: &Report) -> String {
    let scenarios = scenarios(report);
    let mut body = Vec::new();
    let top = speeds(&scenarios, &mut body);
    let height = costs(&scenarios, top + 20.0, &mut body) + 10.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}\n</svg>\n",
        body.join("\n")
    )
}

fn scenarios(report: &Report) -> Vec<Scenario<'_>> {
    let alone = |name: String, drained| Scenario { name, drained, floor_per_s: None };
    let mut all = vec![
        alone("published in batches".to_owned(), &report.delivered),
        alone("published one by one".to_owned(), &report.together.delivered),
    ];
    all.extend(report.fan_outs.iter().map(|fan_out| Scenario {
        name: format!("backlog, fan-out {}", fan_out.endpoints),
        drained: &fan_out.drained,
        floor_per_s: Some(fan_out.floor.deliveries_per_s),
    }));
    let endpoints = report.endpoints.iter();
    all.extend(endpoints.map(|e| alone(format!("backlog, endpoints {}", e.endpoints), &e.drained)));
    let workers = report.scale_out.iter();
    all.extend(workers.map(|s| alone(format!("receiver 50 ms, workers {}", s.count), &s.drained)));
    let partitions = report.partitions.iter();
    all.extend(partitions.map(|s| alone(format!("backlog, partitions {}", s.count), &s.drained)));
    all
}

/// Deliveries a second; answers where it ends.
fn speeds(scenarios: &[Scenario<'_>], body: &mut Vec<String>) -> f64 {
    let [own, ..] = COLORS;
    legend(body, 24.0, "Deliveries a second", &[("Hookfleet", own), ("a straight loop", FLOOR)]);
    let each =
        scenarios.iter().flat_map(|one| [Some(one.drained.deliveries_per_s), one.floor_per_s]);
    let longest = each.flatten().fold(1.0, f64::max);
    let mut y = HEAD;
    for Scenario { name, drained, floor_per_s } in scenarios {
        let speed = drained.deliveries_per_s;
        let (length, floor) =
            (BAR * speed / longest, floor_per_s.map(|floor| BAR * floor / longest));
        text(body, (LEFT - 8.0, y + 14.0), "end", name);
        bar(body, (LEFT, y), (length, 12.0), own);
        let mut number = format!("{speed:.0}");
        if let (Some(floor), Some(per_s)) = (floor, floor_per_s) {
            bar(body, (LEFT, y + 12.0), (floor, 7.0), FLOOR);
            number = format!("{number} of {per_s:.0}: {:.2}", ratio(speed, *per_s));
        }
        let end = LEFT + length.max(floor.unwrap_or_default());
        text(body, (end + 6.0, y + 12.0), "start", &number);
        y += LINE;
    }
    y
}

/// CPU of each process, without load and receiver; answers where it ends.
fn costs(scenarios: &[Scenario<'_>], top: f64, body: &mut Vec<String>) -> f64 {
    let one_each = |one: &&Scenario<'_>| !shown(&one.drained.cpu_us_per_delivery).is_empty();
    let scenarios: Vec<_> = scenarios.iter().filter(one_each).collect();
    let names = scenarios.iter().flat_map(|one| shown(&one.drained.cpu_us_per_delivery));
    let names: BTreeSet<&str> = names.map(|(name, _)| name).collect();
    let colored: Vec<_> = names.into_iter().zip(COLORS.into_iter().cycle()).collect();
    legend(body, top + 24.0, "CPU µs a delivery", &colored);
    let total = |one: &Scenario<'_>| -> f64 {
        shown(&one.drained.cpu_us_per_delivery).iter().map(|(_, us)| us).sum()
    };
    let longest = scenarios.iter().map(|one| total(one)).fold(1.0, f64::max);
    let mut y = top + HEAD;
    for one in scenarios {
        text(body, (LEFT - 8.0, y + 14.0), "end", &one.name);
        let mut x = LEFT;
        for (name, us) in shown(&one.drained.cpu_us_per_delivery) {
            let color = colored.iter().find(|(known, _)| *known == name).map_or(FLOOR, |(_, c)| c);
            let length = BAR * us / longest;
            bar(body, (x, y), (length, 18.0), color);
            x += length;
        }
        text(body, (x + 6.0, y + 14.0), "start", &format!("{:.0}", total(one)));
        y += LINE;
    }
    y
}

/// All but the bench, workers and APIs of its own taken together.
#[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
fn shown(cpu: &Cpu) -> Vec<(&str, f64)> {
    let mut sums = Vec::<(&str, f64)>::new();
    for (name, us) in cpu.iter().filter(|(name, _)| *name != BENCH && *name != THREAD) {
        let name = name.split('-').next().unwrap_or(name);
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += *us as f64,
            None => sums.push((name, *us as f64)),
        }
    }
    sums
}

fn legend(body: &mut Vec<String>, y: f64, title: &str, entries: &[(&str, &str)]) {
    body.push(format!("<text x=\"20\" y=\"{y}\" font-size=\"17\">{title}</text>"));
    let mut x = LEFT;
    for (name, color) in entries {
        bar(body, (x, y - 11.0), (12.0, 12.0), color);
        text(body, (x + 17.0, y), "start", name);
        x += 120.0;
    }
}

fn bar(body: &mut Vec<String>, (x, y): (f64, f64), (width, height): (f64, f64), color: &str) {
    body.push(format!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{color}\"/>"));
}

fn text(body: &mut Vec<String>, (x, y): (f64, f64), anchor: &str, text: &str) {
    // A process may have any name.
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    body.push(format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"));
}
