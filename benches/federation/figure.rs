//! Numbers, and how they are shown.

use std::{fmt, time::Duration};

/// Numbers of one thing, measured several times.
#[derive(Debug, Clone)]
pub struct Figure {
    unit: Unit,
    sorted: Vec<f64>,
}

/// What the numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Mebibytes,
    Times,
    PerSecond,
}

/// What a figure should come to, by its median.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub fn new(unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        assert!(!sorted.is_empty(), "a figure needs a number");
        sorted.sort_by(f64::total_cmp);
        Self { unit, sorted }
    }

    pub fn seconds(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::new(Unit::Seconds, times.into_iter().map(|time| time.as_secs_f64()))
    }

    pub fn min(&self) -> f64 {
        self.sorted[0]
    }

    pub fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        if self.sorted.len() % 2 == 1 {
            self.sorted[middle]
        } else {
            f64::midpoint(self.sorted[middle - 1], self.sorted[middle])
        }
    }

    pub fn max(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    /// The number that 99 of a hundred do not exceed.
    pub fn p99(&self) -> f64 {
        let rank = (self.sorted.len() * 99).div_ceil(100);
        self.sorted[rank - 1]
    }

    /// One number of this figure, with its unit.
    pub fn show(&self, value: f64) -> String {
        match self.unit {
            Unit::Seconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
            Unit::Seconds => format!("{value:.2} s"),
            Unit::Mebibytes => format!("{value:.1} MiB"),
            Unit::Times if value < 10.0 => format!("{value:.2} ×"),
            Unit::Times => format!("{value:.0} ×"),
            Unit::PerSecond => format!("{value:.0}/s"),
        }
    }

    /// A line of the table.
    pub fn print(&self, name: &str, aim: Option<Aim>) {
        let verdict = aim.map(|aim| self.verdict(aim)).unwrap_or_default();
        let [min, median, max] = [self.min(), self.median(), self.max()].map(|value| self.show(value));
        println!("{name:<58}{min:>11}{median:>11}{max:>11}   {verdict}");
    }

    fn verdict(&self, aim: Aim) -> String {
        let (sign, limit, met) = match aim {
            Aim::AtMost(limit) => ("≤", limit, self.median() <= limit),
            Aim::AtLeast(limit) => ("≥", limit, self.median() >= limit),
        };
        let word = if met { "met" } else { "missed" };
        format!("aim {sign} {}: {word}", self.show(limit))
    }
}

impl fmt::Display for Figure {
    /// The median, and in brackets the ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, median, max] = [self.min(), self.median(), self.max()].map(|value| self.show(value));
        if self.sorted.len() == 1 { f.write_str(&median) } else { write!(f, "{median} ({min} … {max})") }
    }
}

/// The head of a table of figures.
pub fn title(text: &str) {
    println!("\n{text:<58}{:>11}{:>11}{:>11}", "min", "median", "max");
}
