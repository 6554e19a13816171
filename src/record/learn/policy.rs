//! `--learn-seccomp`: the system calls that COMMAND made, as a policy for `--seccomp-policy`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::error::{Error, Result, join};
use crate::kernel::names;
use crate::record::base;
use crate::record::learn::target::Target;
use crate::record::seen::Seen;

/// The flags of clone(2) that make namespaces.
pub(crate) const NAMESPACES: u64 = 0x7e02_0000;

/// A policy that is to be written.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) target: Target,
    /// The calls that an earlier one allows.
    earlier: BTreeSet<String>,
}

impl Policy {
    /// Reads the one that is there.
    pub(crate) fn read(target: Target) -> Result<Self> {
        let earlier =
            if target.text.is_empty() { Some(BTreeSet::new()) } else { names(&target.text) };
        let earlier = earlier.ok_or_else(|| {
            let mut text = join(
                "--learn-seccomp adds to policies that it wrote only, and not to",
                target.path(),
            );
            text.extend_from_slice(b": that is no such policy");
            Error::new(text)
        })?;
        Ok(Self { target, earlier })
    }

    /// Writes it; the result is how many calls it allows.
    pub(crate) fn write(&self, seen: &Seen) -> Result<usize> {
        let name = |&number: &u32| names::name(number).map(str::to_owned);
        let mut calls: BTreeSet<String> = seen.calls.iter().filter_map(name).collect();
        calls.extend(self.earlier.iter().cloned());
        // COMMAND is executed under it.
        calls.insert("execve".to_owned());
        let makes_namespaces = seen.flags.contains("namespaces") || self.earlier.contains("clone3");
        let text = text(&calls, makes_namespaces);
        self.target.write(text.as_bytes())?;
        Ok(calls.len())
    }
}

/// The text of a policy.
fn text(calls: &BTreeSet<String>, makes_namespaces: bool) -> String {
    let base = base::all().map(str::to_owned);
    let mut plain: BTreeSet<String> = base.chain(calls.iter().cloned()).collect();
    let mut more = Vec::new();
    if !makes_namespaces && (plain.remove("clone") | plain.remove("clone3")) {
        let args = json!([{
            "index": 0, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ",
        }]);
        more.push(json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": args }));
        // What it is asked for is in memory, where no filter sees it. The C library then takes
        // clone.
        more.push(
            json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS }),
        );
    }
    let mut elements = vec![json!({ "names": plain, "action": "SCMP_ACT_ALLOW" })];
    elements.append(&mut more);
    let policy = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "syscalls": elements,
    });
    let mut text = serde_json::to_string_pretty(&policy).unwrap_or_default();
    text.push('\n');
    text
}

/// The calls that a policy of ours allows; nothing if it is something else.
fn names(text: &[u8]) -> Option<BTreeSet<String>> {
    let policy: Value = serde_json::from_slice(text).ok()?;
    let is_ours = policy.get("defaultAction")? == "SCMP_ACT_ERRNO"
        && policy.get("defaultErrnoRet")? == libc::EPERM;
    let mut all = BTreeSet::new();
    for element in policy.get("syscalls")?.as_array()? {
        if element.get("action")? == "SCMP_ACT_ALLOW" {
            let names = element.get("names")?.as_array()?;
            all.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    is_ours.then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = names(text(&calls(&["ptrace", "clone3"]), false).as_bytes()).unwrap_or_default();
        assert!(["ptrace", "clone", "read"].iter().all(|name| read.contains(*name)), "{read:?}");
        assert!(!read.contains("clone3") && !read.contains("unshare"));
        let read = names(text(&calls(&["clone3"]), true).as_bytes()).unwrap_or_default();
        assert!(read.contains("clone3"));
        for other in ["", "{}", "[]", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}"] {
            assert_eq!(names(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_policy_is_one_of_ours() {
        let facts = crate::confine::seccomp::policy::Facts::of(0);
        let text = text(&calls(&["openat", "execve", "clone"]), false);
        let compiled = crate::confine::seccomp::policy::compile(text.as_bytes(), &facts);
        let unknown = compiled.map(|compiled| compiled.unknown).unwrap_or_default();
        // Those that only other architectures have.
        assert!(
            unknown.iter().all(|name| base::all().any(|base| base == name.as_ref())),
            "{unknown:?}"
        );
    }
}
