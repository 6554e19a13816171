//! What is in the scratch directory before a run: sources, a root to bind, layers, and every kind of thing that a destination may be.

use crate::harness::{Result, Setup};

enum Thing {
    Dir(u32),
    File(u32, &'static str),
    Link(&'static str),
}

use Thing::{Dir, File, Link};

/// In the order of making; parents of files are made with them.
const THINGS: &[(&str, Thing)] = &[
    ("src/dir/sub", Dir(0o755)),
    ("src/dir/f", File(0o644, "f")),
    ("src/dir/link", Link("f")),
    ("src/file", File(0o640, "content")),
    ("src/program", File(0o755, "#!/bin/sh\necho program\n")),
    ("src/link", Link("dir")),
    ("src/tofile", Link("file")),
    ("src/nowhere", Link("missing")),
    ("src/loop", Link("loop")),
    ("src/a b/f", File(0o600, "blank")),
    ("src/\u{e4}\\:,\"#", Dir(0o700)),
    ("low/both", File(0o644, "low")),
    ("low/d/low", File(0o644, "1")),
    ("high/both", File(0o644, "high")),
    ("high/d/high", File(0o600, "2")),
    ("up", Dir(0o755)),
    ("work", Dir(0o755)),
    ("root/probe", File(0o644, "")),
    ("root/dst/dir/in", File(0o644, "in")),
    ("root/dst/empty", Dir(0o700)),
    ("root/dst/file", File(0o644, "old")),
    ("root/dst/long", File(0o644, "something longer than what replaces it")),
    ("root/dst/link", Link("dir")),
    ("root/dst/tofile", Link("file")),
    ("root/dst/abs", Link("/dst/dir")),
    ("root/dst/dangling", Link("nowhere")),
    ("root/dst/deep", Link("/new/place")),
    ("root/dst/up", Link("../../../../..")),
    ("root/dst/loop", Link("loop")),
    ("root/dst/host", Link("{dir}/src")),
    ("root/dst/magic", Link("/proc/self/cwd")),
    ("root/dst/old", Link("/oldroot/tmp")),
    ("root/a/b", Dir(0o755)),
    ("root/search/in", Dir(0o755)),
    ("root/search", Dir(0o711)),
    ("root/fixed", Dir(0o555)),
];

/// Makes it.
pub(super) fn make(s: &mut Setup) -> Result<()> {
    for (name, thing) in THINGS {
        match thing {
            Dir(mode) => {
                s.dir(name)?;
                s.mode(name, *mode)?;
            }
            File(mode, content) => {
                s.file(name, content)?;
                s.mode(name, *mode)?;
            }
            Link(target) => s.symlink(target, name)?,
        }
    }
    Ok(())
}

/// The same as a shell script.
pub(super) fn script() -> String {
    let line = |(name, thing): &(&str, Thing)| match thing {
        Dir(mode) => format!("mkdir -p '{name}'; chmod {mode:o} '{name}'\n"),
        File(mode, text) => {
            let parent = name.rsplit_once('/').map_or(".", |(parent, _)| parent);
            format!("mkdir -p {parent}; printf %s {} > '{name}'; chmod {mode:o} '{name}'\n", super::quote::quote(text.as_bytes()))
        }
        Link(target) => format!("ln -s \"{}\" '{name}'\n", target.replace("{dir}", "$dir")),
    };
    "dir=$(mktemp -d /tmp/bXXXXXX); chmod 755 $dir; cd $dir; mkdir home\n".to_owned()
        + &THINGS.iter().map(line).collect::<String>()
}
