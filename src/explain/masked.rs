//! Notes of `--dry-run` on what a mask is not: it hides a path and not a file, and what is there at
//! the start and not what comes later.

use nix::sys::stat::stat;

use crate::config::op::Op;
use crate::config::settle::Settled;
use crate::explain::planned::{Masked, Planned, below};

/// How else something masked can be seen.
pub(crate) fn notes(config: &Settled, planned: &Planned) -> Vec<String> {
    let mut notes: Vec<_> = planned.masked().iter().filter_map(links).collect();
    notes.extend(planned.masked().iter().filter_map(|mask| elsewhere(planned, mask)));
    notes.extend(planned.masked().iter().filter_map(|mask| movable(planned, mask)));
    let has_files = planned.masked().iter().any(|mask| mask.is_file)
        || config.ops.iter().any(|op| matches!(op, Op::MaskGlob(_)));
    if has_files {
        notes.push(
            "a masked file that something outside renames another onto, as editors do, is visible from then on: mask its directory".to_owned(),
        );
    }
    notes
}

/// Other names of a masked file.
fn links(mask: &Masked) -> Option<String> {
    let count = stat(mask.host.as_c_str()).ok()?.st_nlink;
    (mask.is_file && count > 1).then(|| {
        let at = String::from_utf8_lossy(&mask.at);
        format!("{at} has {count} hard links, and its mask hides this one alone")
    })
}

/// A directory around it that COMMAND can rename.
fn movable(planned: &Planned, mask: &Masked) -> Option<String> {
    let directory = planned.movable(&mask.at)?;
    let (directory, at) = (String::from_utf8_lossy(directory), String::from_utf8_lossy(&mask.at));
    Some(format!(
        "COMMAND can rename {directory}, and a later run would not find what is masked at {at} there: mask {directory}, or bind it read-only"
    ))
}

/// Another bind that shows what is masked.
fn elsewhere(planned: &Planned, mask: &Masked) -> Option<String> {
    let place = planned.binds().find_map(|(at, source)| {
        let rest = below(mask.host.to_bytes(), source.to_bytes())?;
        let at = if at == b"/" { rest.to_vec() } else { [at, rest].concat() };
        let shows = at != mask.at && planned.of_host(&at).as_ref() == Some(&mask.host);
        shows.then_some(at)
    })?;
    let (at, place) = (String::from_utf8_lossy(&mask.at), String::from_utf8_lossy(&place));
    Some(format!("what is masked at {at} can also be found at {place}: mask that too"))
}
