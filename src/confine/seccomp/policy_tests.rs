//! How profiles are read, and the errors about text that is not a profile.

use super::*;

use crate::confine::seccomp::policy::{BUILT_IN, Facts};
use crate::confine::seccomp::values::ARCHITECTURE;

const FACTS: Facts = Facts { caps: 1 << 21, kernel: (6, 1) };

/// A profile with one element of `syscalls`.
fn with(element: &str) -> String {
    format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{element}]}}"#)
}

/// How many instructions a profile becomes: two and a few more for the question which architecture
/// it is, and what its rules need.
fn length(profile: &str) -> usize {
    compile(profile.as_bytes(), &FACTS).map_or(0, |compiled| compiled.program.instructions.len())
}

#[test]
fn the_built_in_policy_is_one() {
    assert!(compile(BUILT_IN.as_bytes(), &FACTS).is_ok());
}

#[test]
fn rules_depend_on_capabilities_architecture_and_kernel() {
    let element = |conditions: &str| {
        with(&format!(r#"{{"names":["read"],"action":"SCMP_ACT_ERRNO",{conditions}}}"#))
    };
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
    let profile =
        with(r#"{"names":["no_such_call","s390_runtime_instr"],"action":"SCMP_ACT_KILL"}"#);
    assert_eq!(length(&profile), without);
}

#[test]
fn names_that_are_no_calls_here_are_told() {
    let element = r#"{"names":["read","mkdrr","listns"],"name":"sturct","action":"SCMP_ACT_KILL"},
        {"names":["other"],"action":"SCMP_ACT_KILL","includes":{"arches":["s390"]}}"#;
    let unknown = compile(with(element).as_bytes(), &FACTS)
        .map(|compiled| compiled.unknown)
        .unwrap_or_default();
    assert_eq!(unknown.iter().map(|name| &**name).collect::<Vec<_>>(), ["mkdrr", "sturct"]);
}

/// Every member that a profile has, and nothing that is empty.
const FULL: &str = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"EPERM","defaultErrnoRet":1,
    "architectures":["SCMP_ARCH_X86_64"],"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
    "flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[{"names":["read"],"name":"write","action":"SCMP_ACT_ERRNO","errno":"EPERM",
    "errnoRet":1,"args":[{"index":0,"value":1,"valueTwo":2,"op":"SCMP_CMP_EQ"}],
    "includes":{"caps":["CAP_BPF"],"arches":["amd64"],"minKernel":"5.1"},
    "excludes":{"caps":["CAP_BPF"],"arches":["amd64"],"minKernel":"5.1"}}]}"#;

/// The document with one value after the other in another form, as `change` has it.
fn changed(
    value: &serde_json::Value,
    change: &dyn Fn(&serde_json::Value) -> Option<serde_json::Value>,
) -> Vec<serde_json::Value> {
    use serde_json::Value;
    let mut all: Vec<Value> = change(value).into_iter().collect();
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                all.extend(changed(member, change).into_iter().map(|member| {
                    let mut members = members.clone();
                    members.insert(key.clone(), member);
                    Value::Object(members)
                }));
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                all.extend(changed(element, change).into_iter().map(|element| {
                    let mut elements = elements.clone();
                    elements[index] = element;
                    Value::Array(elements)
                }));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn no_value_is_taken_for_one_of_another_form() {
    use serde_json::{Value, json};
    assert!(compile(FULL.as_bytes(), &FACTS).is_ok());
    let full: Value = serde_json::from_str(FULL).unwrap_or_default();
    // In the order of the declaration, which is the one that serde takes an array in.
    let order = [
        "defaultAction",
        "defaultErrno",
        "defaultErrnoRet",
        "architectures",
        "archMap",
        "flags",
        "syscalls",
        "architecture",
        "subArchitectures",
        "names",
        "name",
        "action",
        "errno",
        "errnoRet",
        "args",
        "index",
        "value",
        "valueTwo",
        "op",
        "includes",
        "excludes",
        "caps",
        "arches",
        "minKernel",
    ];
    let array = |value: &Value| {
        let members = value.as_object()?;
        Some(order.iter().filter_map(|key| members.get(*key).cloned()).collect())
    };
    let member = |value: &Value| value.as_str().map(|text| json!({ text: null }));
    let (arrays, members) = (changed(&full, &array), changed(&full, &member));
    assert_eq!((arrays.len(), members.len()), (6, 17));
    for profile in arrays.into_iter().chain(members) {
        let problem = compile(profile.to_string().as_bytes(), &FACTS).err().unwrap_or_default();
        assert!(problem.contains("invalid type: "), "{profile}: {problem:?}");
    }
}

#[test]
fn errnos_have_second_names() {
    for (name, number) in [
        ("ENOTSUP", 95),
        ("EOPNOTSUPP", 95),
        ("EWOULDBLOCK", 11),
        ("EDEADLOCK", 35),
        ("EHWPOISON", 133),
    ] {
        let element = format!(
            r#"{{"names":["read"],"action":"SCMP_ACT_ERRNO","errno":"{name}","errnoRet":{number}}}"#
        );
        assert!(compile(with(&element).as_bytes(), &FACTS).is_ok(), "{name}");
    }
    let unknown = with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errno":"UnknownErrno"}"#);
    assert!(compile(unknown.as_bytes(), &FACTS).is_err());
}

#[test]
fn equal_rules_are_one() {
    let many = |count: usize, element: &str| with(&vec![element; count].join(","));
    for element in [
        r#"{"names":["read"],"action":"SCMP_ACT_LOG"}"#,
        r#"{"names":["read","write","read"],"name":"read","action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}"#,
        r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":0,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]}"#,
    ] {
        let once = length(&many(1, element));
        assert!(once > 0, "{element}");
        assert_eq!(length(&many(5000, element)), once, "{element}");
    }
    // What a stricter rule leaves nothing to takes no place either.
    let nothing_left = (0..5000).map(|value| {
        format!(r#"{{"names":["read"],"action":"SCMP_ACT_LOG","args":[{{"index":0,"value":{value},"op":"SCMP_CMP_EQ"}}]}}"#)
    });
    let strictest = r#"{"names":["read"],"action":"SCMP_ACT_KILL"}"#.to_owned();
    let rules: Vec<String> = nothing_left.chain([strictest.clone()]).collect();
    assert_eq!(length(&with(&rules.join(","))), length(&with(&strictest)));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (profile, said) in [
        (String::new(), "EOF while parsing a value at line 1 column 0"),
        ("[]".to_owned(), "expected an object"),
        ("{}".to_owned(), "missing field `defaultAction` at line 1 column 2"),
        ("{\n\"defaultAction\": 7}".to_owned(), "at line 2 column"),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","sycalls":[]}"#.to_owned(),
            "unknown field `sycalls`",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW"} x"#.to_owned(),
            "trailing characters at line 1 column 36",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultAction":"SCMP_ACT_ALLOW"}"#.to_owned(),
            "duplicate field `defaultAction`",
        ),
        (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#.to_owned(), "unknown variant `SCMP_ACT_NOTIFY`"),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}"#.to_owned(),
            "unknown field `listenerPath`",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["x86"]}"#.to_owned(),
            "invalid value: string \"x86\"",
        ),
        (
            with(r#"{"names":["read"],"action":"SCMP_ACT_KILL","includes":{"arches":["amd46"]}}"#),
            "invalid value: string \"amd46\", expected the name of an architecture, such as amd64",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["NEW_LISTENER"]}"#.to_owned(),
            "unknown variant `NEW_LISTENER`",
        ),
        (with("{}"), "missing field `action`"),
        (
            with(r#"{"names":[1],"action":"SCMP_ACT_KILL"}"#),
            "invalid type: integer `1`, expected the name of a system call",
        ),
        (with(r#"{"names":"read","action":"SCMP_ACT_KILL"}"#), "expected a sequence"),
        (with(r#"{"names":["read"],"action":"SCMP_ACT_DENY"}"#), "unknown variant `SCMP_ACT_DENY`"),
        (
            with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":4096}"#),
            "an errno is at most 4095 at line 1 column",
        ),
        (
            with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":-1}"#),
            "invalid value: integer `-1`",
        ),
        (
            with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errno":"EWHAT"}"#),
            "expected the name of an errno",
        ),
        (
            with(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errno":"EPERM","errnoRet":2}"#),
            "name says 1 and its number 2",
        ),
        (
            with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}"#),
            "has the arguments 0 to 5",
        ),
        (
            with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"value":0,"op":"EQ"}]}"#),
            "unknown variant `EQ`",
        ),
        (
            with(r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"op":"SCMP_CMP_EQ"}]}"#),
            "missing field `value`",
        ),
        (
            with(
                r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"value":1.5,"op":"SCMP_CMP_EQ"}]}"#,
            ),
            "invalid type: floating point",
        ),
        (
            with(
                r#"{"action":"SCMP_ACT_KILL","args":[{"index":0,"value":18446744073709551616,"op":"SCMP_CMP_EQ"}]}"#,
            ),
            "invalid type",
        ),
        (
            with(r#"{"action":"SCMP_ACT_KILL","includes":{"caps":["CAP_FLY"]}}"#),
            "expected the name of a capability",
        ),
        (
            with(r#"{"action":"SCMP_ACT_KILL","excludes":{"minKernel":"5"}}"#),
            "expected a kernel's version, MAJOR.MINOR",
        ),
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
