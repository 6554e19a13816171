//! Rounds of runs, and what is said about them.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use crate::common::Result;
use crate::programs::{Program, Programs};
use crate::scenarios::Scenario;

/// How many rounds a scenario takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runs(usize);

impl Runs {
    /// `BENCH_RUNS`, or 200.
    pub(crate) fn from_environment() -> Self {
        Self(std::env::var("BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(200).max(1))
    }

    /// The rounds of what takes one in so many.
    pub(crate) fn of(self, share: usize) -> usize {
        (self.0 / share).max(5)
    }
}

/// The value below which this share of the values lies.
fn quantile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// The median of the quotients of each pair.
pub(crate) fn ratio(ours: &[f64], other: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(other).map(|(ours, other)| ours / other).collect();
    quantile(&ratios, 50)
}

/// Median, p10 and p99 in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    p10: f64,
    p99: f64,
}

impl Summary {
    /// What these values come to.
    pub(crate) fn of(values: &[f64]) -> Self {
        Self { median: quantile(values, 50), p10: quantile(values, 10), p99: quantile(values, 99) }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2} ({:.2}–{:.2})", self.median, self.p10, self.p99))
    }
}

/// A line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    name: String,
    /// Reference, ours, and the floor if there is one.
    pub(crate) times: Times,
    to_reference: f64,
    to_floor: Option<f64>,
}

/// What each program took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The reference.
    pub(crate) reference: Summary,
    /// Ours.
    pub(crate) ours: Summary,
    /// The floor.
    pub(crate) floor: Option<Summary>,
}

/// The head of the table.
pub(crate) fn head() {
    println!("Milliseconds from spawn to reap: median (p10–p99). Ratios: median of the ratios of each round.\n");
    let (ours_reference, ours_floor) = ("ours/reference", "ours/floor");
    println!("{:<26}{:>24}{:>24}{:>24}{ours_reference:>16}{ours_floor:>12}", "", "reference", "ours", "floor");
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Times { reference, ours, floor } = self.times;
        let floor = floor.map_or_else(|| "–".to_owned(), |floor| floor.to_string());
        let to_floor = self.to_floor.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}"));
        write!(f, "{:<26}{reference:>24}{ours:>24}{floor:>24}{:>16.3}{to_floor:>12}", self.name, self.to_reference)
    }
}

/// Runs all programs alternately.
pub(crate) fn side_by_side(programs: &Programs, scenario: &Scenario, runs: Runs) -> Result<Line> {
    let taking_part = [Some(&programs.reference), Some(&programs.ours), scenario.shape.map(|_| &programs.floor)];
    let mut times = [vec![], vec![], vec![]];
    // The first round warms the caches.
    for round in 0..=runs.of(scenario.share) {
        for (program, times) in taking_part.iter().zip(&mut times) {
            let Some(program) = program else { continue };
            let time = program.run(scenario)?.as_secs_f64() * 1e3;
            if round > 0 {
                times.push(time);
            }
        }
    }
    let [reference, ours, floor] = &times;
    Ok(Line {
        name: scenario.name.clone(),
        times: Times {
            reference: Summary::of(reference),
            ours: Summary::of(ours),
            floor: scenario.shape.map(|_| Summary::of(floor)),
        },
        to_reference: ratio(ours, reference),
        to_floor: scenario.shape.map(|_| ratio(ours, floor)),
    })
}

/// What further options cost, alternately with and without them.
pub(crate) fn further(program: &Program, scenarios: &[Scenario], runs: Runs) -> Result<()> {
    println!(
        "\nFurther options, ours alone: what a typical sandbox takes longer with them, in milliseconds; median (p10–p99).\n"
    );
    let plain = Scenario::typical();
    for scenario in scenarios {
        let mut more = vec![];
        for round in 0..=runs.of(scenario.share) {
            let (without, with) = (program.run(&plain)?.as_secs_f64(), program.run(scenario)?.as_secs_f64());
            if round > 0 {
                more.push((with - without) * 1e3);
            }
        }
        println!("{:<60}{:>24}", scenario.name, Summary::of(&more).to_string());
    }
    Ok(())
}

/// Many at once.
pub(crate) fn throughput(programs: &Programs, runs: Runs) -> Result<()> {
    println!(
        "\nSandboxes per second, typical; in brackets the p99 of one in ms. The ratio is the median of alternating blocks.\n"
    );
    println!("{:<26}{:>24}{:>24}{:>16}", "", "reference", "ours", "ours/reference");
    for threads in [1, 2, 4, 16] {
        let blocks = (runs.of(1) / 20).max(3);
        let (mut theirs, mut own) = (Block::default(), Block::default());
        for _ in 0..blocks {
            theirs.add(&programs.reference, threads)?;
            own.add(&programs.ours, threads)?;
        }
        let name = format!("{threads} at once");
        println!("{name:<26}{:>24}{:>24}{:>15.2}×", theirs.to_string(), own.to_string(), ratio(&own.rates, &theirs.rates));
    }
    Ok(())
}

/// What blocks of sandboxes have shown.
#[derive(Debug, Default)]
struct Block {
    /// Sandboxes per second.
    rates: Vec<f64>,
    /// The time of each in milliseconds.
    times: Vec<f64>,
}

/// Sandboxes of one block.
const BLOCK: usize = 48;

impl Block {
    fn add(&mut self, program: &Program, threads: usize) -> Result<()> {
        let scenario = Scenario::typical();
        let start = Instant::now();
        let one_thread = || (0..BLOCK / threads).map(|_| program.run(&scenario)).collect::<Result<Vec<Duration>>>();
        let times = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
            let ended = running.into_iter().map(|thread| thread.join().map_err(|_| "a thread ended early".to_owned())?);
            ended.collect::<Result<Vec<_>>>()
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let times: Vec<f64> = times.into_iter().flatten().map(|time| time.as_secs_f64() * 1e3).collect();
        self.rates.push(f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)) / seconds);
        self.times.extend(times);
        Ok(())
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ({:.1})", quantile(&self.rates, 50), quantile(&self.times, 99))
    }
}
