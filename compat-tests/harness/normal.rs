//! Makes outcomes comparable: what has to differ between two runs gets the same name in both.

use std::collections::BTreeSet;

/// Where a number that means nothing stands, a pid's, an inode's or a terminal's; the digits after it are replaced.
const BEFORE_NUMBERS: [&str; 7] = ["/proc/", ":[", "\"child-pid\": ", "-namespace\": ", "/dev/pts/", " devpts devpts /", " 136:"];

/// Replaces the names of directories and the numbers of processes, namespaces and pipes.
pub(crate) fn normalise(text: &str, names: &[(String, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, stand_in) in names {
        text = text.replace(name.as_str(), stand_in);
    }
    for before in BEFORE_NUMBERS {
        text = without_numbers(&text, before);
    }
    // The reference's root is a directory of its tmpfs, ours is the tmpfs itself: only mountinfo's root field tells.
    text = text.replace(" tmpfs tmpfs /newroot ", " tmpfs tmpfs / ");
    short_usage(&text)
}

fn without_numbers(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        result.push_str(before);
        if rest.len() < part.len() {
            result.push('N');
        }
        result.push_str(rest);
    }
    result
}

/// The help is in each side's own words: only its first line counts, and that it is there.
fn short_usage(text: &str) -> String {
    let Some(at) = text.find("usage: ").filter(|at| *at == 0 || text[..*at].ends_with('\n')) else { return text.to_owned() };
    let first = text[at..].lines().next().unwrap_or_default();
    format!("{}{first}\n", &text[..at])
}

/// The names of the options in a help text.
pub(crate) fn options(usage: &str) -> BTreeSet<String> {
    let rows = usage.lines().filter_map(|line| line.trim_start().split([' ', ',']).next());
    rows.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}
