//! Load: many sandboxes, scarce resources, large streams, and signals at random moments. Afterwards nothing may be left.
//!
//! Every trial is a *stage*: this program, started once more as a process of its own that is the reaper of everything below it,
//! in a mount namespace of its own with empty directories where files could be left behind. So what is left is known exactly,
//! however busy the machine is and whatever runs beside it.
//!
//! - `cargo test --test load`: the short form, with every `cargo test`.
//! - `LOAD=long cargo test --release --test load`: the long form, which prints its figures.
//! - `LOAD_SEED=7`: another seed for the random moments.

mod beside;
mod cgroups;
mod crowds;
#[path = "../harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with compat, which uses all of it")]
mod harness;
mod kills;
mod limits;
mod races;
mod random;
mod scarce;
mod series;
mod stage;
mod streams;
#[path = "../sys.rs"]
#[allow(dead_code, reason = "shared with compat, which uses all of it")]
mod sys;
#[path = "../text.rs"]
#[allow(dead_code, reason = "shared with compat, which uses all of it")]
mod text;
mod under;
mod waiting;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use harness::report::say;
use harness::{Case, Identity, Lab, Result, page, select, trial};
use libtest_mimic::Arguments;
use stage::{Outer, Row, Stage};

const BOTH: &[Identity] = &[Identity::Root, Identity::User];
const ROOT: &[Identity] = &[Identity::Root];
const USER: &[Identity] = &[Identity::User];

const fn row(name: &'static str, identities: &'static [Identity], outer: Outer, play: fn(&mut Stage) -> Result<()>) -> Row {
    Row { name, identities, outer, needs: None, play }
}

/// One that sets limits of its own user namespace.
const fn with_limits(name: &'static str, play: fn(&mut Stage) -> Result<()>) -> Row {
    Row { name, identities: BOTH, outer: Outer::User, needs: Some(series::need_limits), play }
}

const fn with_cgroup(name: &'static str, needs: fn() -> Result<()>, play: fn(&mut Stage) -> Result<()>) -> Row {
    Row { name, identities: ROOT, outer: Outer::Groups, needs: Some(needs), play }
}

const ROWS: &[Row] = &[
    row("beside::others", ROOT, Outer::Mounts, beside::others),
    row("beside::mounts_that_go", BOTH, Outer::Mounts, beside::mounts_that_go),
    row("beside::what_is_left", BOTH, Outer::Mounts, beside::what_is_left),
    row("series::in_a_row", BOTH, Outer::Mounts, series::in_a_row),
    with_limits("series::counted_in_a_row", series::counted_in_a_row),
    row("series::at_once", BOTH, Outer::Mounts, series::at_once),
    with_cgroup("series::kernel_memory", cgroups::need_memory, series::kernel_memory),
    row("limits::processes", USER, Outer::User, limits::processes),
    with_limits("limits::namespaces", limits::namespaces),
    row("limits::mounts", BOTH, Outer::Mounts, limits::mounts),
    row("limits::open_files", BOTH, Outer::Mounts, limits::open_files),
    row("scarce::address_space", BOTH, Outer::Mounts, scarce::address_space),
    row("scarce::full_disk", BOTH, Outer::Mounts, scarce::full_disk),
    row("scarce::file_size", BOTH, Outer::Mounts, scarce::file_size),
    with_cgroup("limits::processes_of_cgroup", cgroups::need_pids, limits::processes_of_cgroup),
    with_cgroup("scarce::memory_of_cgroup", cgroups::need_memory, scarce::memory_of_cgroup),
    row("crowds::orphans", BOTH, Outer::Mounts, crowds::orphans),
    row("crowds::living_orphans", BOTH, Outer::Mounts, crowds::living_orphans),
    row("streams::both_ways", BOTH, Outer::Mounts, streams::both_ways),
    row("streams::closed_reader", BOTH, Outer::Mounts, streams::closed_reader),
    row("kills::monitor", BOTH, Outer::Mounts, kills::monitor),
    row("kills::launcher", BOTH, Outer::Mounts, kills::launcher),
    row("kills::any_process", BOTH, Outer::Mounts, kills::any_process),
    row("kills::stopped_monitor", BOTH, Outer::Mounts, kills::stopped_monitor),
    row("races::mounts_of_the_host", BOTH, Outer::Mounts, races::mounts_of_the_host),
];

fn main() -> ExitCode {
    let words = std::env::args().skip(1).collect::<Vec<_>>();
    match words.split_first() {
        Some((mode, rest)) if mode == "--stage" => stage::run(ROWS, rest),
        Some((mode, rest)) if mode == "--under" => under::run(rest),
        _ => play_all(),
    }
}

/// What the command line selects.
fn play_all() -> ExitCode {
    let arguments = Arguments::from_args();
    let lab = match Lab::open() {
        Ok(lab) => Arc::new(lab),
        Err(error) => {
            say(&format!("load: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let cases = ROWS.iter().map(|row| Arc::new(case(row))).collect::<Vec<_>>();
    let mut trials = trial::of_cases(&lab, &cases, &[]);
    trials.push(page::trial(ROWS.iter().map(|row| row.name.to_owned()).collect()));
    let status = select::run(&arguments, trials);
    lab.close();
    status.unwrap_or(ExitCode::FAILURE)
}

/// The trial of a row: the stage says nothing but its figures.
fn case(row: &Row) -> Case {
    let long = std::env::var("LOAD").is_ok_and(|form| form == "long");
    let (form, most) = if long { ("long", Duration::from_hours(4)) } else { ("short", Duration::from_mins(10)) };
    let seed = std::env::var("LOAD_SEED").ok().and_then(|seed| seed.parse::<u64>().ok()).unwrap_or(1);
    let mut case = Case::new(row.name)
        .ours_only()
        .script(&format!("exec {{probe}} --stage {} {{bwrap}} {form} {seed}", row.name))
        .status(0)
        .stderr("")
        .claim(move |outcome| {
            if long {
                say(&format!("{outcome}"));
            }
            Ok(())
        });
    case.timeout = most;
    case.identities = row.identities.to_vec();
    case.needs.extend(row.needs);
    case
}
