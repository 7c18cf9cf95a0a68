//! From what two sizes took to what a third would take.

use std::time::Duration;

use glovebox_contract::limits::Limits;
use serde_json::{Value, json};

use crate::terminal;

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Rows of each table.
    pub(super) rows: u64,
    pub(super) wall: Duration,
    pub(super) memory_bytes: u64,
}

/// What a run over more rows would take, if it goes on as it does between the two sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    small: Measured,
    large: Measured,
    expected: Measured,
}

impl Estimate {
    /// Draws a straight line through both. Noise may make the larger run look cheaper; it is never
    /// taken for less than what was measured.
    pub(super) fn new(small: Measured, large: Measured, rows: u64) -> Self {
        let line = |small_cost: f64, large_cost: f64| {
            let span = (large.rows.saturating_sub(small.rows)).max(1) as f64;
            let slope = ((large_cost - small_cost) / span).max(0.0);
            large_cost + slope * (rows as f64 - large.rows as f64).max(0.0)
        };
        let seconds = line(small.wall.as_secs_f64(), large.wall.as_secs_f64());
        let bytes = line(small.memory_bytes as f64, large.memory_bytes as f64);
        let wall = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate; the cast saturates"
        )]
        let expected = Measured { rows, wall, memory_bytes: bytes as u64 };
        Self { small, large, expected }
    }

    /// Which of the limits the run would reach.
    fn beyond(&self, limits: &Limits) -> Vec<String> {
        let mut beyond = Vec::new();
        if self.expected.wall.as_secs() >= limits.wall_seconds {
            beyond.push(format!("{} seconds", limits.wall_seconds));
        }
        if self.expected.memory_bytes >= limits.memory_bytes {
            beyond.push(terminal::bytes(limits.memory_bytes));
        }
        beyond
    }

    pub(super) fn to_text(self, limits: &Limits) -> String {
        let line = |what: &str, measured: &Measured| {
            format!(
                "  {what:9} {:>12} rows a table  {:>9}  {:>10}",
                measured.rows,
                time(measured.wall),
                terminal::bytes(measured.memory_bytes)
            )
        };
        let mut lines = vec![
            "Time and memory".to_owned(),
            line("measured", &self.small),
            line("measured", &self.large),
            line("estimate", &self.expected),
            "  The estimate is a straight line through the two: joins that multiply rows grow faster."
                .to_owned(),
        ];
        let beyond = self.beyond(limits);
        if !beyond.is_empty() {
            lines.push(format!("  THAT IS MORE THAN THE STANDARD LIMITS: {}", beyond.join(", ")));
        }
        lines.join("\n")
    }

    pub(super) fn to_json(self, limits: &Limits) -> Value {
        let figures = |measured: &Measured| {
            json!({
                "rows": measured.rows,
                "wall_us": u64::try_from(measured.wall.as_micros()).unwrap_or(u64::MAX),
                "memory_bytes": measured.memory_bytes,
            })
        };
        json!({
            "measured": [figures(&self.small), figures(&self.large)],
            "estimate": figures(&self.expected),
            "beyond_standard_limits": self.beyond(limits),
        })
    }
}

fn time(wall: Duration) -> String {
    match wall.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} min", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rows: u64, millis: u64, memory_bytes: u64) -> Measured {
        Measured { rows, wall: Duration::from_millis(millis), memory_bytes }
    }

    #[test]
    fn a_line_is_drawn_and_never_falls() {
        let check = |small, large, rows, expect| {
            assert_eq!(Estimate::new(small, large, rows).expected, expect);
        };
        check(
            measured(250, 25, 1_000),
            measured(1_000, 100, 4_000),
            10_000,
            measured(10_000, 1_000, 40_000),
        );
        // The larger run was quicker by chance.
        check(measured(250, 40, 9), measured(1_000, 30, 9), 5_000, measured(5_000, 30, 9));
        // Fewer rows than measured.
        check(measured(250, 25, 9), measured(1_000, 100, 9), 10, measured(10, 100, 9));
        let endless = Estimate::new(measured(1, 0, 0), measured(2, 1_000, 1 << 40), u64::MAX);
        assert!(endless.expected.wall > Duration::from_secs(1 << 40));
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(time(Duration::from_millis(31)), "31 ms");
        assert_eq!(time(Duration::from_secs(90)), "90.0 s");
        assert_eq!(time(Duration::from_secs(3_600)), "60 min");
    }
}
