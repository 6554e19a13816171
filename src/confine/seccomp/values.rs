//! The single values in a seccomp profile: actions, operators, flags, and what is given by name.
//! Each is what it says on this machine, or an error.

use std::fmt;
use std::str::FromStr;

use ::caps::Capability;
use nix::errno::Errno;
use seccompiler::SeccompAction;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::kernel::names;

/// The largest errno that the kernel passes on.
const MAX_ERRNO: u32 = 4095;

/// What this architecture is called in `includes` and `excludes`.
#[cfg(target_arch = "x86_64")]
pub(crate) const ARCHITECTURE: &str = "amd64";
#[cfg(target_arch = "aarch64")]
pub(crate) const ARCHITECTURE: &str = "arm64";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) const ARCHITECTURE: &str = std::env::consts::ARCH;

/// Calls since Linux 6.19, which the table of names does not have. From 424 on numbers are the same
/// everywhere.
const NEWEST: [(&str, u32); 3] = [("listns", 470), ("rseq_slice_yield", 471), ("fchroot", 472)];

/// `SCMP_ACT_…`
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
}

impl Action {
    /// The action with its errno, by its name, by its number, or by both. For a tracer it is a
    /// number that it is told.
    pub(crate) fn with(
        self,
        name: Option<NamedErrno>,
        number: Option<ErrnoNumber>,
    ) -> Result<SeccompAction, String> {
        let data = match (name, number) {
            (Some(NamedErrno(name)), Some(ErrnoNumber(number))) if name != number => {
                return Err(format!("an errno's name says {name} and its number {number}"));
            }
            (Some(NamedErrno(data)), _) | (None, Some(ErrnoNumber(data))) => data,
            (None, None) => libc::EPERM.unsigned_abs(),
        };
        Ok(match self {
            Self::Allow => SeccompAction::Allow,
            Self::Errno => SeccompAction::Errno(data),
            Self::KillThread => SeccompAction::KillThread,
            Self::KillProcess => SeccompAction::KillProcess,
            Self::Trap => SeccompAction::Trap,
            Self::Log => SeccompAction::Log,
            Self::Trace => SeccompAction::Trace(data),
        })
    }
}

/// `SCMP_CMP_…`
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) enum Operator {
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// `SECCOMP_FILTER_FLAG_…`
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) enum Flag {
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
}

impl Flag {
    /// What is passed to seccomp(2).
    pub(crate) const fn bits(self) -> libc::c_ulong {
        match self {
            Self::Log => libc::SECCOMP_FILTER_FLAG_LOG,
            Self::SpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            // There is only one thread to be synchronised.
            Self::Tsync => 0,
        }
    }
}

/// Which argument, from 0 to 5.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct ArgumentIndex(pub(crate) u8);

impl TryFrom<u64> for ArgumentIndex {
    type Error = &'static str;

    fn try_from(index: u64) -> Result<Self, Self::Error> {
        u8::try_from(index)
            .ok()
            .filter(|&index| index < 6)
            .map(Self)
            .ok_or("a system call has the arguments 0 to 5")
    }
}

/// `errnoRet`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct ErrnoNumber(pub(crate) u32);

impl TryFrom<u64> for ErrnoNumber {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        u32::try_from(number)
            .ok()
            .filter(|&number| number <= MAX_ERRNO)
            .map(Self)
            .ok_or(format!("an errno is at most {MAX_ERRNO}"))
    }
}

/// Reads a string as something else without a copy of it: what it should be, and what it stands
/// for.
struct Named<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Named<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        self.1(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

macro_rules! named {
    ($type:ident, $what:literal, $named:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Named($what, $named))
            }
        }
    };
}

/// A system call by its name.
#[derive(Debug)]
pub(crate) enum Call {
    /// Its number here.
    Number(u32),
    /// None of here has this name.
    Unknown(Box<str>),
}
named!(Call, "the name of a system call", |text| {
    let newest = || NEWEST.into_iter().find(|(name, _)| *name == text).map(|(_, number)| number);
    Some(
        names::number(text)
            .or_else(newest)
            .map_or_else(|| Self::Unknown(text.into()), Self::Number),
    )
});

/// A capability's bit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cap(pub(crate) u64);
named!(Cap, "the name of a capability", |text| Capability::from_str(text)
    .ok()
    .map(|cap| Self(1 << cap.index())));

/// An errno by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamedErrno(pub(crate) u32);
named!(NamedErrno, "the name of an errno", |text| {
    const LAST: i32 = 133;
    // Second names, which a number does not have.
    let text = match text {
        "ENOTSUP" => "EOPNOTSUPP",
        "EWOULDBLOCK" => "EAGAIN",
        "EDEADLOCK" => "EDEADLK",
        other => other,
    };
    let errnos = (1..=LAST).map(Errno::from_raw).filter(|errno| *errno != Errno::UnknownErrno);
    let named = errnos.into_iter().find(|&errno| format!("{errno:?}") == text)?;
    Some(Self((named as i32).unsigned_abs()))
});

/// `SCMP_ARCH_…`
#[derive(Debug, Clone, Copy)]
pub(crate) struct Architecture;
named!(Architecture, "the name of an architecture, SCMP_ARCH_…", |text| text
    .starts_with("SCMP_ARCH_")
    .then_some(Self));

/// The architectures as Go calls them, and some that only profiles do. A rule for one that nobody
/// knows would never apply, and what it refuses would be allowed.
const GO_ARCHITECTURES: &str = "386 amd64 amd64p32 arm arm64 arm64be armbe loong64 mips mips64 \
    mips64le mips64p32 mips64p32le mipsle ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 \
    wasm x32 x86";

/// An architecture as Go calls it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoArch {
    pub(crate) ours: bool,
}
named!(GoArch, "the name of an architecture, such as amd64", |text| {
    let is_known = GO_ARCHITECTURES.split_ascii_whitespace().any(|known| known == text);
    is_known.then_some(Self { ours: text == ARCHITECTURE })
});

/// A kernel's version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Release(pub(crate) (u64, u64));
named!(Release, "a kernel's version, MAJOR.MINOR", |text| {
    let (major, minor) = text.split_once('.')?;
    Some(Self((major.parse().ok()?, minor.parse().ok()?)))
});
