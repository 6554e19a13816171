//! `--seccomp-policy` and `--seccomp-default`: seccomp profiles as Docker, Podman and the OCI
//! runtime specification have them, JSON that says for each system call what is done about it.
//!
//! This module reads a profile, decides which of its rules apply here, and hands them to
//! [`crate::confine::seccomp::bpf`]. Whatever it does not understand is an error that names line
//! and column: a rule that is left out may be the one that mattered. Only names of system calls may
//! be unknown, as with all who read such profiles, because they name those of every architecture
//! and of kernels to come; `--dry-run` shows them.
//!
//! Where the default is an errno, a profile means by it the calls that it could have named. For
//! newer ones programs have a way around, which they take if the call fails with ENOSYS and with
//! nothing else. So that is what they fail with, as under runc.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::os::fd::AsFd;
use std::rc::Rc;

use libc::sock_filter;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, stat};
use seccompiler::{BackendError, SeccompAction, SeccompCmpOp, SeccompCondition};
use serde::Deserialize;

use crate::confine::seccomp::bpf::{self, Rule, Rules, UNAVAILABLE};
use crate::confine::seccomp::json::{Object, Text};
use crate::confine::seccomp::program::{MAX_INSTRUCTIONS, Program};
use crate::confine::seccomp::values::{
    Action, Architecture, ArgumentIndex, Call, Cap, ErrnoNumber, Flag, GoArch, NamedErrno,
    Operator, Release,
};
use crate::error::{Context, Error, Result, join, on_one_line};
use crate::kernel::files::{file_type, read_all};
use crate::kernel::sys;
use crate::word::Word;

/// Where a policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// `--seccomp-default`
    BuiltIn,
    /// `--seccomp-policy FILE`
    File(Word),
}

/// The built-in policy.
const BUILT_IN: &str = include_str!("default.json");

/// The largest file that is read, in bytes. The profiles of container engines have some 15,000.
const MAX_SIZE: usize = 1 << 20;

/// `clone3`, whose flags no filter sees. C libraries start threads by it, and by `clone` only if it
/// is ENOSYS.
const CLONE3: u32 = 435;

/// What the conditions of a profile's rules are about.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// COMMAND's capabilities.
    pub(crate) caps: u64,
    /// The kernel's version, major and minor.
    pub(crate) kernel: (u64, u64),
}

impl Facts {
    /// The facts for these capabilities on the kernel that runs.
    pub(crate) fn of(caps: u64) -> Self {
        let release = sys::kernel_release();
        let mut numbers = release
            .split(|letter: char| !letter.is_ascii_digit())
            .map(|part| part.parse().unwrap_or(0));
        Self { caps, kernel: (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) }
    }
}

impl Policy {
    /// What it is called.
    pub(crate) fn name(self) -> String {
        match self {
            Self::BuiltIn => "the built-in policy".to_owned(),
            Self::File(name) => format!("the policy in {}", name.to_string_lossy()),
        }
    }

    /// The option that asks for it.
    pub(crate) const fn option(self) -> &'static str {
        match self {
            Self::BuiltIn => "--seccomp-default",
            Self::File(_) => "--seccomp-policy",
        }
    }

    /// Whether reading it would use something up, or wait: a pipe that a shell has made, for one.
    pub(crate) fn is_stream(self) -> bool {
        let Self::File(name) = self else { return false };
        stat(name).is_ok_and(|status| file_type(&status) != SFlag::S_IFREG)
    }

    /// Reads and compiles it.
    pub(crate) fn compile(self, facts: &Facts) -> Result<Compiled> {
        let (name, compiled) = match self {
            // Calls that are unknown here belong to other architectures.
            Self::BuiltIn => (
                c"the built-in policy",
                compile(BUILT_IN.as_bytes(), facts)
                    .map(|compiled| Compiled { unknown: BTreeSet::new(), ..compiled }),
            ),
            Self::File(name) => (name, compile(&read(name)?, facts)),
        };
        compiled.map_err(|problem| {
            let mut text = join("Invalid seccomp policy", name);
            text.extend_from_slice(b": ");
            text.extend_from_slice(one_line(&problem).as_bytes());
            Error::new(text)
        })
    }
}

fn read(name: &CStr) -> Result<Vec<u8>> {
    let failure = "Can't read seccomp policy";
    let file = open(name, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())
        .at(failure, name)?;
    match read_all(file.as_fd(), MAX_SIZE) {
        Err(Errno::EFBIG) => Err(Error::about(
            &format!("A seccomp policy has at most {MAX_SIZE} bytes, unlike"),
            name,
        )),
        other => other.at(failure, name),
    }
}

/// What a diagnostic may quote from a file, on one line of reasonable length.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut line = on_one_line(&text.chars().take(LONGEST).collect::<String>());
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

/// What a profile has become.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The filter.
    pub(crate) program: Program,
    /// Names in it that are no system call's here.
    pub(crate) unknown: BTreeSet<Box<str>>,
}

/// Makes the filter of a profile's text; the error says what is wrong with it, and where.
pub(crate) fn compile(text: &[u8], facts: &Facts) -> std::result::Result<Compiled, String> {
    let Object(profile): Object<Profile> =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let default =
        profile.default_action.0.with(profile.default_errno, profile.default_errno_ret)?;
    let mut collected = Collected::default();
    for Object(element) in profile.syscalls.into_iter().flatten() {
        element.add_to(&mut collected, facts)?;
    }
    let flags = profile.flags.iter().flatten().fold(0, |flags, flag| flags | flag.0.bits());
    let instructions = collected.compile(default).map_err(|_| {
        format!("it needs more than the {MAX_INSTRUCTIONS} instructions that the kernel accepts")
    })?;
    Ok(Compiled { program: Program { instructions, flags }, unknown: collected.unknown })
}

/// The rules that apply here. An element may have thousands of rules and thousands of names: so
/// each rule is kept once, and each call only refers to the rules of whole elements.
#[derive(Debug, Default)]
struct Collected {
    /// The different rules, numbered.
    numbers: BTreeMap<Rc<Rule>, usize>,
    /// By call, the rules of the elements that name it.
    calls: BTreeMap<u32, Vec<Alternatives>>,
    /// Names that are no system call's here.
    unknown: BTreeSet<Box<str>>,
}

/// An element's rules and their numbers.
type Alternatives = Rc<[(usize, Rc<Rule>)]>;

impl Collected {
    /// Adds rules about calls.
    fn add(&mut self, calls: &BTreeSet<u32>, rules: BTreeSet<Rule>) {
        let numbered = rules.into_iter().map(|rule| {
            let next = self.numbers.len();
            let entry = self.numbers.entry(Rc::new(rule));
            let rule = Rc::clone(entry.key());
            (*entry.or_insert(next), rule)
        });
        let alternatives: Alternatives = numbered.collect();
        for &call in calls {
            self.calls.entry(call).or_default().push(Rc::clone(&alternatives));
        }
    }

    /// Makes the filter. E2BIG if it is longer than what the kernel takes.
    fn compile(&self, default: SeccompAction) -> std::result::Result<Vec<sock_filter>, Errno> {
        let mut rules = self.by_call()?;
        let is_other_errno = matches!(default, SeccompAction::Errno(_)) && default != UNAVAILABLE;
        let highest = self.calls.last_key_value().map(|(number, _)| number);
        let Some(&highest) = highest.filter(|_| is_other_errno) else {
            return bpf::compile(&rules, default);
        };
        // A profile of 2020 may name newer calls and not this one.
        let clone3 = Rule::always(UNAVAILABLE);
        if highest > CLONE3 {
            rules.entry(CLONE3).or_insert_with(|| vec![&clone3]);
        }
        bpf::compile_beyond(&rules, default, UNAVAILABLE)
    }

    /// What counts about each call: each rule once, and none to which an unconditional one leaves
    /// nothing.
    fn by_call(&self) -> std::result::Result<Rules<&Rule>, Errno> {
        let mut rules_by_call = Rules::new();
        // For each rule, by number, the call for which it was seen last.
        let mut met = vec![None; self.numbers.len()];
        for (&call, elements) in &self.calls {
            let all = || elements.iter().flat_map(|alternatives| alternatives.iter());
            let always = all()
                .filter(|(_, rule)| rule.is_unconditional())
                .map(|(_, rule)| rule.rank())
                .min();
            let mut rules: Vec<&Rule> = Vec::new();
            let mut is_complete = false;
            for (number, rule) in all() {
                let again =
                    met.get_mut(*number).is_none_or(|last| last.replace(call) == Some(call));
                let counts = match always.map(|always| rule.rank().cmp(&always)) {
                    None | Some(Ordering::Less) => true,
                    Some(Ordering::Equal) => !is_complete,
                    Some(Ordering::Greater) => false,
                };
                if again || !counts {
                    continue;
                }
                is_complete |= rule.is_unconditional();
                rules.push(rule);
                // Each rule needs at least one instruction, and finding the call needs others.
                if rules.len() >= MAX_INSTRUCTIONS {
                    return Err(Errno::E2BIG);
                }
            }
            rules_by_call.insert(call, rules);
        }
        Ok(rules_by_call)
    }
}

/// A profile. `null` stands for what is not there, as everywhere in files that Go programs have
/// written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Profile {
    default_action: Text<Action>,
    default_errno: Option<NamedErrno>,
    default_errno_ret: Option<ErrnoNumber>,
    // Only the machine's own architecture is ever allowed, whatever a profile says of others.
    #[serde(rename = "architectures")]
    _architectures: Option<Vec<Architecture>>,
    #[serde(rename = "archMap")]
    _arch_map: Option<Vec<Object<ArchMap>>>,
    flags: Option<Vec<Text<Flag>>>,
    syscalls: Option<Vec<Object<Element>>>,
    #[serde(rename = "comment")]
    _comment: Option<Ignored>,
    #[serde(rename = "$schema")]
    _schema: Option<Ignored>,
}

/// What a text for people says.
type Ignored = serde::de::IgnoredAny;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ArchMap {
    #[serde(rename = "architecture")]
    _architecture: Option<Architecture>,
    #[serde(rename = "subArchitectures")]
    _sub_architectures: Option<Vec<Architecture>>,
}

/// An element of `syscalls`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Element {
    names: Option<Vec<Call>>,
    name: Option<Call>,
    action: Text<Action>,
    errno: Option<NamedErrno>,
    errno_ret: Option<ErrnoNumber>,
    args: Option<Vec<Object<Argument>>>,
    includes: Option<Object<Selection>>,
    excludes: Option<Object<Selection>>,
    #[serde(rename = "comment")]
    _comment: Option<Ignored>,
}

impl Element {
    /// Adds its rules if it applies here.
    fn add_to(self, collected: &mut Collected, facts: &Facts) -> std::result::Result<(), String> {
        let action = self.action.0.with(self.errno, self.errno_ret)?;
        let included = self.includes.as_ref().is_none_or(|selection| selection.0.all(facts));
        let excluded = self.excludes.as_ref().is_some_and(|selection| selection.0.any(facts));
        if !included || excluded {
            return Ok(());
        }
        let rules = self.rules(&action).map_err(|problem| problem.to_string())?;
        let mut calls = BTreeSet::new();
        for call in self.names.into_iter().flatten().chain(self.name) {
            match call {
                Call::Number(number) => _ = calls.insert(number),
                Call::Unknown(name) => _ = collected.unknown.insert(name),
            }
        }
        collected.add(&calls, rules);
        Ok(())
    }

    /// Its rules: if an argument occurs twice it is one for each condition, else one that needs all
    /// of them. That is how runc reads them, and profiles rely on it.
    fn rules(&self, action: &SeccompAction) -> std::result::Result<BTreeSet<Rule>, BackendError> {
        let rule = |arguments: &[Object<Argument>]| {
            let conditions: std::result::Result<_, _> =
                arguments.iter().filter_map(|argument| argument.0.condition()).collect();
            Rule::new(conditions?, action.clone())
        };
        let all = self.args.as_deref().unwrap_or_default();
        let indices: BTreeSet<u8> = all.iter().map(|argument| argument.0.index.0).collect();
        let each = if indices.len() < all.len() { 1 } else { all.len() };
        if all.is_empty() {
            Ok(BTreeSet::from([rule(all)?]))
        } else {
            all.chunks(each).map(rule).collect()
        }
    }
}

/// An element of `args`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Argument {
    index: ArgumentIndex,
    value: u64,
    value_two: Option<u64>,
    op: Text<Operator>,
    #[serde(rename = "comment")]
    _comment: Option<Ignored>,
}

impl Argument {
    /// The condition; none where no bit decides, which always holds.
    fn condition(&self) -> Option<std::result::Result<SeccompCondition, BackendError>> {
        // A zero may be left out.
        let (operator, value) = match self.op.0 {
            Operator::Eq => (SeccompCmpOp::Eq, self.value),
            Operator::Ne => (SeccompCmpOp::Ne, self.value),
            Operator::Lt => (SeccompCmpOp::Lt, self.value),
            Operator::Le => (SeccompCmpOp::Le, self.value),
            Operator::Gt => (SeccompCmpOp::Gt, self.value),
            Operator::Ge => (SeccompCmpOp::Ge, self.value),
            Operator::MaskedEq if self.value == 0 => return None,
            Operator::MaskedEq => (SeccompCmpOp::MaskedEq(self.value), self.value_two.unwrap_or(0)),
        };
        Some(bpf::condition(self.index.0, operator, value))
    }
}

/// What a rule depends on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selection {
    caps: Option<Vec<Cap>>,
    arches: Option<Vec<GoArch>>,
    min_kernel: Option<Release>,
}

impl Selection {
    /// Whether all that is named is so, and the architecture is one of those named.
    fn all(&self, facts: &Facts) -> bool {
        let arches = self.arches.as_deref().unwrap_or_default();
        self.caps.iter().flatten().all(|cap| facts.caps & cap.0 != 0)
            && (arches.is_empty() || arches.iter().any(|arch| arch.ours))
            && self.min_kernel.is_none_or(|least| facts.kernel >= least.0)
    }

    /// Whether any of it is so.
    fn any(&self, facts: &Facts) -> bool {
        self.caps.iter().flatten().any(|cap| facts.caps & cap.0 != 0)
            || self.arches.iter().flatten().any(|arch| arch.ours)
            || self.min_kernel.is_some_and(|least| facts.kernel >= least.0)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
