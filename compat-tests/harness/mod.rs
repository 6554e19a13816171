//! Runs cases: every case is a trial per identity, and every trial runs each side in a scratch directory of its own.

#[allow(dead_code, reason = "faults and load ask it all")]
pub(crate) mod apart;
mod case;
mod compare;
mod difference;
mod expand;
mod fds;
pub(crate) mod filter;
pub(crate) mod identity;
pub(crate) mod lab;
pub(crate) mod left_out;
mod live;
pub(crate) mod nested;
mod normal;
mod outcome;
pub(crate) mod page;
pub(crate) mod places;
mod record;
pub(crate) mod report;
mod result;
mod run;
mod scratch;
pub(crate) mod select;
pub(crate) mod side;
pub(crate) mod trial;

pub(crate) use case::{Case, Tweak};
pub(crate) use compare::differing;
pub(crate) use difference::{Difference, Field};
pub(crate) use fds::Fd;
pub(crate) use identity::Identity;
pub(crate) use lab::Lab;
pub(crate) use left_out::left_out;
pub(crate) use live::Live;
pub(crate) use normal::options;
pub(crate) use outcome::{Exit, Outcome};
pub(crate) use report::say;
pub(crate) use result::Result;
pub(crate) use run::run;
pub(crate) use scratch::Setup;
pub(crate) use trial::both;
