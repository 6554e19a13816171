//! `--timeout`: how long COMMAND may run, and what ends it.

use std::ffi::CStr;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

use crate::error::{Context, Error, Result};
use crate::kernel::sys::{self, Timer};

/// The exit status of a sandbox whose time was up.
pub(crate) const STATUS: i32 = 124;

/// How long COMMAND has to end by itself by default.
const GRACE: Duration = Duration::from_secs(10);

/// How much later than it should the monitor may end everything. After that the kernel does.
const SLACK: Duration = Duration::from_secs(1);

/// The longest time, well within what the kernel's clocks hold.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

/// What `--timeout` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeout {
    /// From COMMAND's start to SIGTERM.
    limit: Duration,
    /// From then to SIGKILL.
    grace: Duration,
}

impl Timeout {
    /// `SECONDS[:KILL]`, each a decimal number.
    pub(crate) fn parse(text: &CStr) -> Result<Self> {
        let wrong = || {
            Error::about(
                "--timeout takes SECONDS or SECONDS:KILL, decimal numbers up to 1000000000 of which the \
                 first is not 0, and not",
                text,
            )
        };
        let words = text.to_str().map_err(|_| wrong())?;
        let (limit, grace) = match words.split_once(':') {
            Some((limit, grace)) => (seconds(limit), seconds(grace)),
            None => (seconds(words), Some(GRACE)),
        };
        let limit = limit.filter(|limit| !limit.is_zero());
        limit.zip(grace).map(|(limit, grace)| Self { limit, grace }).ok_or_else(wrong)
    }

    /// The same as [`Self::parse`] takes it.
    pub(crate) fn value(self) -> String {
        format!("{}:{}", self.limit.as_secs_f64(), self.grace.as_secs_f64())
    }

    /// Starts the clock.
    ///
    /// COMMAND may be able to stop the monitor, whose process group it may be in, so the kernel has
    /// a timer that kills the monitor if it is late. The sandbox dies with it.
    pub(crate) fn start(self) -> Result<Deadline> {
        let guard = Timer::kill_self_after(self.limit + self.grace + SLACK);
        let guard = guard.context("Can't set a timer for --timeout")?;
        Ok(Deadline { at: Instant::now() + self.limit, grace: Some(self.grace), guard })
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, grace } = self;
        write!(
            f,
            "SIGTERM after {} s, and SIGKILL {} s later",
            limit.as_secs_f64(),
            grace.as_secs_f64()
        )
    }
}

/// Digits, with a point among or after them. Anything finer than a nanosecond is ignored.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let nanoseconds = format!("{part:0<9}").get(..9)?.parse().ok()?;
    let time = Duration::new(whole.parse().ok()?, nanoseconds);
    Some(time).filter(|&time| time <= LONGEST)
}

/// What COMMAND has left of its time.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    /// What it gets after SIGTERM, until it has that.
    grace: Option<Duration>,
    /// Kills the monitor if it is late.
    pub(crate) guard: Timer,
}

impl Deadline {
    /// How long to wait for something else at most.
    pub(crate) fn left(&self) -> PollTimeout {
        let left = self.at.saturating_duration_since(Instant::now());
        // Rounded up, or the last millisecond would be spent polling.
        let left = u64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        PollTimeout::try_from(Duration::from_millis(left)).unwrap_or(PollTimeout::MAX)
    }

    /// Whether COMMAND was sent SIGTERM.
    pub(crate) const fn is_told(&self) -> bool {
        self.grace.is_none()
    }

    /// Signals COMMAND if its time is up. Returns whether it must now be killed.
    pub(crate) fn pass(&mut self, command: BorrowedFd<'_>) -> bool {
        if Instant::now() < self.at {
            return false;
        }
        let Some(grace) = self.grace.take() else { return true };
        // Errors do not matter: if COMMAND cannot be signalled, it is killed with the rest of the
        // sandbox.
        for signal in [libc::SIGTERM, libc::SIGCONT] {
            _ = sys::pidfd_send_signal(command, signal);
        }
        self.at += grace;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_decimal_numbers() {
        let time = |limit, grace| Timeout {
            limit: Duration::from_millis(limit),
            grace: Duration::from_millis(grace),
        };
        for (text, limit, grace) in [
            (c"1", 1000, 10_000),
            (c"1.5", 1500, 10_000),
            (c"0.001", 1, 10_000),
            (c"60:5", 60_000, 5000),
            (c"0.25:0.5", 250, 500),
            (c"1:0", 1000, 0),
            (c"007.0", 7000, 10_000),
            (c"1000000000", 1_000_000_000_000, 10_000),
            (c"1.0000000001", 1000, 10_000),
        ] {
            assert_eq!(Timeout::parse(text).ok(), Some(time(limit, grace)), "{text:?}");
        }
        for text in [
            c"",
            c":",
            c"0",
            c"0.0",
            c"0:5",
            c"-1",
            c"+1",
            c" 1",
            c"1s",
            c"1e3",
            c".5",
            c"5.",
            c"1:",
            c":1",
            c"1:2:3",
            c"1.2.3",
            c"1,5",
            c"inf",
            c"nan",
            c"0x10",
            c"1000000001",
            c"1000000000.1",
            c"99999999999999999999",
            c"1:99999999999999999999",
            c"\xff",
        ] {
            assert!(Timeout::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn waiting_ends_when_the_time_is_up() {
        let never = Timer::kill_self_after(LONGEST);
        assert!(never.is_ok(), "{never:?}");
        let Ok(guard) = never else { return };
        let mut deadline = Deadline { at: Instant::now(), grace: Some(Duration::ZERO), guard };
        assert_eq!(deadline.left(), PollTimeout::ZERO);
        assert!(!deadline.pass(sys::bad_fd()));
        assert!(deadline.is_told());
        assert!(deadline.pass(sys::bad_fd()));
        deadline.at += LONGEST;
        assert_eq!(deadline.left(), PollTimeout::MAX);
    }
}
