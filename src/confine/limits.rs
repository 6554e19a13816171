//! `--rlimit`: resource limits of COMMAND, see setrlimit(2).

use std::ffi::CStr;
use std::fmt;

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};

use crate::error::{Context, Error, Result};

/// The names of the limits, which are those of setrlimit(2) without what all of them begin with.
const NAMES: &str = "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio \
     rttime sigpending stack";

/// The limits in the order of the names.
const RESOURCES: [Resource; 16] = [
    Resource::RLIMIT_AS,
    Resource::RLIMIT_CORE,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_LOCKS,
    Resource::RLIMIT_MEMLOCK,
    Resource::RLIMIT_MSGQUEUE,
    Resource::RLIMIT_NICE,
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_RSS,
    Resource::RLIMIT_RTPRIO,
    Resource::RLIMIT_RTTIME,
    Resource::RLIMIT_SIGPENDING,
    Resource::RLIMIT_STACK,
];

/// One limit, in the units of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    name: &'static str,
    resource: Resource,
    soft: rlim_t,
    hard: rlim_t,
}

impl Limit {
    /// A limit from its name, in any case, and `SOFT[:HARD]`. One value is both.
    pub(crate) fn parse(name: &CStr, value: &CStr) -> Result<Self> {
        let known = |name: &CStr| {
            NAMES
                .split_ascii_whitespace()
                .zip(RESOURCES)
                .find(|(known, _)| name.to_bytes().eq_ignore_ascii_case(known.as_bytes()))
        };
        let (name, resource) = known(name).ok_or_else(|| Error::about("unknown limit:", name))?;
        let wrong = || {
            Error::about("--rlimit takes SOFT or SOFT:HARD, each a number or unlimited, not", value)
        };
        let text = value.to_str().map_err(|_| wrong())?;
        let (soft, hard) = text.split_once(':').unwrap_or((text, text));
        let (soft, hard) = (number(soft).ok_or_else(wrong)?, number(hard).ok_or_else(wrong)?);
        if soft > hard {
            return Err(Error::about(
                "--rlimit takes a soft limit no higher than the hard one, not",
                value,
            ));
        }
        Ok(Self { name, resource, soft, hard })
    }

    /// Adds it to others. One for the same resource no longer counts, so it need not be possible.
    pub(crate) fn add_to(self, limits: &mut Vec<Self>) {
        limits.retain(|earlier| earlier.resource != self.resource);
        limits.push(self);
    }

    /// Determines whether it could be set, with or without the right to raise hard limits.
    pub(crate) fn check(self, may_raise: bool) -> Result<()> {
        match getrlimit(self.resource) {
            Ok((_, most)) if !may_raise && self.hard > most => Err(self.beyond(most)),
            _ => Ok(()),
        }
    }

    /// The words for a hard limit that is above the one there is.
    fn beyond(self, most: rlim_t) -> Error {
        let (name, hard, most) = (self.name, shown(self.hard), shown(most));
        Error::new(format!(
            "Can't raise the hard limit {name} to {hard}: it is {most}, and raising it takes CAP_SYS_RESOURCE in the initial user \
             namespace"
        ))
    }

    /// Sets it for this process and all that it starts.
    pub(crate) fn set(self) -> Result<()> {
        let Self { name, resource, soft, hard } = self;
        let failure = || format!("Can't set the limit {name} to {}:{}", shown(soft), shown(hard));
        let Err(errno) = setrlimit(resource, soft, hard) else { return Ok(()) };
        match getrlimit(resource) {
            Ok((_, most)) if errno == Errno::EPERM && hard > most => Err(self.beyond(most)),
            _ => Err(errno).context(failure()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.name, shown(self.soft), shown(self.hard))
    }
}

/// A number, digits only, or `unlimited`.
fn number(text: &str) -> Option<rlim_t> {
    if text == "unlimited" {
        return Some(RLIM_INFINITY);
    }
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse().ok().filter(|&number| number != RLIM_INFINITY)
}

/// The same the other way round.
fn shown(limit: rlim_t) -> String {
    if limit == RLIM_INFINITY { "unlimited".to_owned() } else { limit.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_limits() {
        assert_eq!(NAMES.split_ascii_whitespace().count(), RESOURCES.len());
        for (name, resource) in NAMES.split_ascii_whitespace().zip(RESOURCES) {
            let name = name.to_ascii_uppercase();
            assert_eq!(format!("RLIMIT_{name}"), format!("{resource:?}"));
        }
    }

    #[test]
    fn values_are_one_or_two_numbers() {
        for (text, soft, hard) in [
            (c"0", 0, 0),
            (c"1024", 1024, 1024),
            (c"1:2", 1, 2),
            (c"7:unlimited", 7, RLIM_INFINITY),
            (c"unlimited", RLIM_INFINITY, RLIM_INFINITY),
            (c"18446744073709551614", u64::MAX - 1, u64::MAX - 1),
        ] {
            let limit = Limit { name: "cpu", resource: Resource::RLIMIT_CPU, soft, hard };
            assert_eq!(Limit::parse(c"Cpu", text).ok(), Some(limit), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            c"",
            c":",
            c"1:",
            c":1",
            c"1:2:3",
            c"-1",
            c"+1",
            c"1k",
            c" 1",
            c"Unlimited",
            c"18446744073709551615",
            c"2:1",
            c"\xff",
        ] {
            assert!(Limit::parse(c"cpu", text).is_err(), "{text:?}");
        }
        for name in [c"", c"RLIMIT_CPU", c"cp", c"cpus"] {
            assert!(Limit::parse(name, c"1").is_err(), "{name:?}");
        }
    }
}
