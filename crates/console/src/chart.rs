//! Bars over time, as SVG that the server draws: delivered below, failed on top.

use askama::Template;
use hookfleet_domain::Timestamp;

use crate::answers::Counts;
use crate::filters;

/// The drawing's own units; a page makes it as wide as there is room.
const WIDTH: f64 = 720.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 168.0;
/// Bars that can still be told apart; more are put together.
const BARS_MAX: usize = 72;

/// A chart, ready to be drawn.
#[derive(Template)]
#[template(path = "chart.html")]
pub struct Chart {
    bars: Vec<Bar>,
    /// What the bars stand for, for whoever cannot see them.
    rows: Vec<Counts>,
    most: u64,
    begin: Timestamp,
    end: Timestamp,
    delivered: u64,
    failed: u64,
}

/// One bar, of two parts.
struct Bar {
    x: f64,
    width: f64,
    good_y: f64,
    good_height: f64,
    bad_y: f64,
    bad_height: f64,
    at: Timestamp,
    delivered: u64,
    failed: u64,
}

impl Chart {
    /// Of these counts, one after the other, up to `end`.
    pub fn new(counts: &[Counts], end: Timestamp) -> Self {
        let rows = together(counts);
        let most = rows.iter().map(|row| row.delivered + row.failed).max().unwrap_or(0);
        let slot = WIDTH / units(rows.len().max(1));
        let bars = rows.iter().enumerate().map(|(number, row)| bar(row, (number, slot), most));
        Self {
            bars: bars.collect(),
            most,
            begin: rows.first().map_or(end, |row| row.at),
            end,
            delivered: rows.iter().map(|row| row.delivered).sum(),
            failed: rows.iter().map(|row| row.failed).sum(),
            rows,
        }
    }
}

fn bar(row: &Counts, (number, slot): (usize, f64), most: u64) -> Bar {
    let per_one = (BOTTOM - TOP) / wide(most.max(1));
    // One failure among thousands must still be seen.
    let height = |count: u64| if count == 0 { 0.0 } else { (wide(count) * per_one).max(1.5) };
    let (good_height, bad_height) = (height(row.delivered), height(row.failed));
    let good_y = BOTTOM - good_height;
    Bar {
        x: slot * units(number) + slot * 0.1,
        width: slot * 0.8,
        good_y,
        good_height,
        bad_y: (good_y - bad_height).max(0.0),
        bad_height,
        at: row.at,
        delivered: row.delivered,
        failed: row.failed,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a drawing's coordinates")]
fn wide(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a drawing's coordinates")]
fn units(count: usize) -> f64 {
    count as f64
}

/// Neighbours put together, so that there are not too many.
fn together(counts: &[Counts]) -> Vec<Counts> {
    let size = counts.len().div_ceil(BARS_MAX).max(1);
    let sum = |part: &[Counts]| {
        let mut sum = part.first()?.clone();
        for other in part.iter().skip(1) {
            sum.delivered += other.delivered;
            sum.failed += other.failed;
            sum.events += other.events;
            sum.dead_letters += other.dead_letters;
        }
        Some(sum)
    };
    counts.chunks(size).filter_map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(u64, u64)]) -> Vec<Counts> {
        let at = |minute: usize| Timestamp::from_unix_ms(60_000 * i64::try_from(minute).unwrap());
        let each = of.iter().enumerate().map(|(minute, (delivered, failed))| Counts {
            at: at(minute),
            events: 0,
            delivered: *delivered,
            failed: *failed,
            dead_letters: 0,
            average_ms: None,
        });
        each.collect()
    }

    #[test]
    fn bars_stand_on_each_other() {
        let end = Timestamp::from_unix_ms(120_000);
        let chart = Chart::new(&counts(&[(3, 1), (0, 0)]), end);
        assert_eq!((chart.most, chart.delivered, chart.failed), (4, 3, 1));
        let [first, second] = chart.bars.as_slice() else { panic!("two bars") };
        assert!((first.good_y + first.good_height - BOTTOM).abs() < 0.01);
        assert!((first.bad_y + first.bad_height - first.good_y).abs() < 0.01);
        assert!((first.bad_y - TOP).abs() < 0.01, "the highest reaches the top");
        assert!(second.good_height + second.bad_height < 0.01);
        assert!(chart.render().unwrap().contains("<svg"));
    }

    #[test]
    fn many_are_put_together_and_none_is_drawn_too() {
        let chart = Chart::new(&counts(&vec![(1, 1); 1440]), Timestamp::from_unix_ms(0));
        assert_eq!((chart.bars.len(), chart.delivered, chart.failed), (72, 1440, 1440));
        assert!(Chart::new(&[], Timestamp::from_unix_ms(0)).bars.is_empty());
    }
}
