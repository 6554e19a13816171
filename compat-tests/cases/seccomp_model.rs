//! A second reading of seccomp profiles, the plainest one: what a profile says about one call with its arguments.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::Value;
use syscalls::Sysno;

/// The capabilities that COMMAND has in the cases.
pub(super) const CAPABILITY: &str = "CAP_SYS_CHROOT";

/// What is said about a call: `None` if it is not refused or with ENOSYS, else as the probe puts it.
pub(super) fn outcome(profile: &Value, number: u32, args: [u64; 6]) -> Option<String> {
    let matching = profile["syscalls"].as_array().into_iter().flatten().filter(|element| applies(element));
    let matching = matching.filter(|element| numbers(element).contains(&number) && conditions_hold(element, args));
    let worst = matching.min_by_key(|element| severity(element["action"].as_str().unwrap_or_default()));
    let (action, errno) = match worst {
        Some(element) => (&element["action"], &element["errnoRet"]),
        None if is_newer(profile, number) => return None,
        None => (&profile["defaultAction"], &profile["defaultErrnoRet"]),
    };
    match action.as_str().unwrap_or_default() {
        "SCMP_ACT_ERRNO" => match errno.as_u64().unwrap_or(1) {
            38 => None,
            errno => Some(format!("{number} {errno}")),
        },
        "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" | "SCMP_ACT_TRACE" => None,
        _ => Some(format!("{number} signal 31")),
    }
}

/// Whether a default that is an errno is ENOSYS for this call: it is beyond all that are named, or it is
/// clone3 and not named.
fn is_newer(profile: &Value, number: u32) -> bool {
    let named: BTreeSet<u32> =
        profile["syscalls"].as_array().into_iter().flatten().filter(|element| applies(element)).flat_map(numbers).collect();
    let newer = named.last().is_some_and(|&highest| number > highest || number == 435 && !named.contains(&number));
    newer && profile["defaultAction"] == "SCMP_ACT_ERRNO"
}

/// The kernel's order, the most severe first.
fn severity(action: &str) -> usize {
    let order = ["KILL_PROCESS", "KILL_THREAD", "KILL", "TRAP", "ERRNO", "TRACE", "LOG", "ALLOW"];
    order.iter().position(|name| action.strip_prefix("SCMP_ACT_") == Some(name)).unwrap_or(0)
}

fn applies(element: &Value) -> bool {
    let lists = |selection: &Value, key: &str, word: &str| {
        selection[key].as_array().is_some_and(|list| list.iter().any(|entry| entry.as_str() == Some(word)))
    };
    let empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let (includes, excludes) = (&element["includes"], &element["excludes"]);
    let caps = includes["caps"].as_array().is_none_or(|caps| caps.iter().all(|cap| cap.as_str() == Some(CAPABILITY)));
    let all_named = caps && (empty(&includes["arches"]) || lists(includes, "arches", arch));
    // No kernel that this runs on is older than what profiles ask about.
    let any_named = lists(excludes, "caps", CAPABILITY) || lists(excludes, "arches", arch) || excludes["minKernel"].is_string();
    all_named && !any_named
}

/// The numbers of the calls that an element names.
fn numbers(element: &Value) -> BTreeSet<u32> {
    element["names"]
        .as_array()
        .into_iter()
        .flatten()
        .chain([&element["name"]])
        .filter_map(Value::as_str)
        .filter_map(number)
        .collect()
}

/// A call's number by its name.
pub(super) fn number(name: &str) -> Option<u32> {
    match name {
        "listns" => Some(470),
        "rseq_slice_yield" => Some(471),
        "fchroot" => Some(472),
        _ => Sysno::from_str(name).ok().and_then(|call| u32::try_from(call.id()).ok()),
    }
}

fn conditions_hold(element: &Value, args: [u64; 6]) -> bool {
    let all = element["args"].as_array().map(Vec::as_slice).unwrap_or_default();
    let index = |arg: &Value| usize::try_from(arg["index"].as_u64().unwrap_or(9)).unwrap_or(9);
    let holds = |arg: &Value| {
        let (found, value, two) = (args[index(arg)], arg["value"].as_u64().unwrap_or(0), arg["valueTwo"].as_u64().unwrap_or(0));
        match arg["op"].as_str().unwrap_or_default() {
            "SCMP_CMP_EQ" => found == value,
            "SCMP_CMP_NE" => found != value,
            "SCMP_CMP_LT" => found < value,
            "SCMP_CMP_LE" => found <= value,
            "SCMP_CMP_GT" => found > value,
            "SCMP_CMP_GE" => found >= value,
            _ => found & value == two & value,
        }
    };
    let twice = all.iter().enumerate().any(|(at, arg)| all[at + 1..].iter().any(|other| index(other) == index(arg)));
    if twice { all.iter().any(holds) } else { all.iter().all(holds) }
}
