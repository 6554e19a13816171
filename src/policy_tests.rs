//! What profiles are taken for, and what is said about those that are none.

use super::*;

const FACTS: Facts = Facts { caps: 1 << 21, kernel: (6, 1) };

/// A profile with one element of `syscalls`.
fn with(element: &str) -> String {
    format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{element}]}}"#)
}

/// How many instructions a profile becomes: two and a few more for the question which architecture it is, and what its rules need.
fn length(profile: &str) -> usize {
    compile(profile.as_bytes(), &FACTS).map_or(0, |program| program.instructions.len())
}

#[test]
fn the_built_in_policy_is_one() {
    assert!(compile(BUILT_IN.as_bytes(), &FACTS).is_ok());
}

#[test]
fn rules_depend_on_capabilities_architecture_and_kernel() {
    let element = |conditions: &str| with(&format!(r#"{{"names":["read"],"action":"SCMP_ACT_ERRNO",{conditions}}}"#));
    let without = length(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#);
    assert!(without > 0);
    let arch = ARCHITECTURE;
    for (conditions, applies) in [
        (r#""comment":"always""#.to_owned(), true),
        (r#""includes":null,"excludes":{},"args":null"#.to_owned(), true),
        (r#""includes":{"caps":["CAP_SYS_ADMIN"]}"#.to_owned(), true),
        (r#""includes":{"caps":["CAP_SYS_ADMIN","CAP_BPF"]}"#.to_owned(), false),
        (r#""excludes":{"caps":["CAP_SYS_ADMIN","CAP_BPF"]}"#.to_owned(), false),
        (r#""excludes":{"caps":["CAP_BPF"]}"#.to_owned(), true),
        (format!(r#""includes":{{"arches":["s390","{arch}"]}}"#), true),
        (r#""includes":{"arches":["s390"]}"#.to_owned(), false),
        (format!(r#""excludes":{{"arches":["{arch}"]}}"#), false),
        (r#""includes":{"minKernel":"6.1"}"#.to_owned(), true),
        (r#""includes":{"minKernel":"5.19"}"#.to_owned(), true),
        (r#""includes":{"minKernel":"6.2"}"#.to_owned(), false),
        (r#""excludes":{"minKernel":"4.8"}"#.to_owned(), false),
        (r#""includes":{"caps":["CAP_SYS_ADMIN"],"minKernel":"7.0"}"#.to_owned(), false),
    ] {
        let length = length(&element(&conditions));
        assert!(length > 0, "{conditions}");
        assert_eq!(length > without, applies, "{conditions}");
    }
}

#[test]
fn names_that_are_no_calls_here_are_left_out() {
    let without = length(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#);
    let profile = with(r#"{"names":["no_such_call","s390_runtime_instr"],"action":"SCMP_ACT_KILL"}"#);
    assert_eq!(length(&profile), without);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (profile, said) in [
        (String::new(), "EOF while parsing a value at line 1 column 0"),
        ("[]".to_owned(), "expected struct Profile"),
        ("{}".to_owned(), "missing field `defaultAction` at line 1 column 2"),
        ("{\n\"defaultAction\": 7}".to_owned(), "at line 2 column"),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","sycalls":[]}"#.to_owned(), "unknown field `sycalls`"),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW"} x"#.to_owned(), "trailing characters at line 1 column 36"),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultAction":"SCMP_ACT_ALLOW"}"#.to_owned(), "duplicate field `defaultAction`"),
        (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#.to_owned(), "unknown variant `SCMP_ACT_NOTIFY`"),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}"#.to_owned(), "unknown field `listenerPath`"),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["x86"]}"#.to_owned(), "invalid value: string \"x86\""),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["NEW_LISTENER"]}"#.to_owned(), "unknown variant `NEW_LISTENER`"),
        (with("{}"), "missing field `action`"),
        (with(r#"{"names":[1],"action":"SCMP_ACT_KILL"}"#), "invalid type: integer `1`, expected the name of a system call"),
        (with(r#"{"names":"read","action":"SCMP_ACT_KILL"}"#), "expected a sequence"),
        (with(r#"{"names":["read"],"action":"SCMP_ACT_DENY"}"#), "unknown variant `SCMP_ACT_DENY`"),
        (with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":4096}"#), "an errno is at most 4095 at line 1 column"),
        (with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":-1}"#), "invalid value: integer `-1`"),
        (with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errno":"EWHAT"}"#), "expected the name of an errno"),
        (with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errno":"EPERM","errnoRet":2}"#), "name says 1 and its number 2"),
        (with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}"#), "has the arguments 0 to 5"),
        (with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"value":0,"op":"EQ"}]}"#), "unknown variant `EQ`"),
        (with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"op":"SCMP_CMP_EQ"}]}"#), "missing field `value`"),
        (
            with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"value":1.5,"op":"SCMP_CMP_EQ"}]}"#),
            "invalid type: floating point",
        ),
        (
            with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"value":18446744073709551616,"op":"SCMP_CMP_EQ"}]}"#),
            "invalid type",
        ),
        (with(r#"{"action":"SCMP_ACT_KILL","includes":{"caps":["CAP_FLY"]}}"#), "expected the name of a capability"),
        (with(r#"{"action":"SCMP_ACT_KILL","excludes":{"minKernel":"5"}}"#), "expected a kernel's version, MAJOR.MINOR"),
        ("[".repeat(10_000), "expected"),
        (format!(r#"{{"comment":{}"#, "[".repeat(10_000)), "EOF while parsing a list"),
    ] {
        let problem = compile(profile.as_bytes(), &FACTS).err().unwrap_or_default();
        assert!(problem.contains(said), "{profile:.100}: {problem:?}");
    }
}

#[test]
fn problems_are_told_on_one_line() {
    assert_eq!(one_line("a\nb\u{1b}[31m"), "a?b?[31m");
    assert_eq!(one_line(&"é".repeat(500)), format!("{}…", "é".repeat(400)));
}
