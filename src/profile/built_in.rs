//! The profiles that come with the program: plain files in `src/profiles/`.

/// A built-in profile.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    /// Its name, with the `@`.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) text: &'static str,
}

/// A profile and its file.
macro_rules! built_in {
    ($name:literal) => {
        BuiltIn { name: concat!("@", $name), text: include_str!(concat!("../profiles/", $name)) }
    };
}

/// All of them, in the order in which they are listed.
pub(crate) const ALL: [BuiltIn; 7] = [
    built_in!("private"),
    built_in!("system"),
    built_in!("net"),
    built_in!("here"),
    built_in!("x11"),
    built_in!("wayland"),
    built_in!("build"),
];

/// The profile of a name.
pub(crate) fn find(name: &[u8]) -> Option<&'static BuiltIn> {
    ALL.iter().find(|profile| profile.name.as_bytes() == name)
}

/// What `--profile @list` prints: each name with the first line of its file.
pub(crate) fn list() -> String {
    let line = |profile: &BuiltIn| {
        let first = profile.text.lines().next().unwrap_or_default();
        format!("{:<10} {}\n", profile.name, first.trim_start_matches(['#', ' ']))
    };
    ALL.iter().map(line).collect()
}
