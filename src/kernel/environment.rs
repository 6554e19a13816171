//! The environment that COMMAND gets: the caller's, edited by options.
//!
//! Not the C library's functions: those of glibc and musl copy, allocate and fall back in different
//! ways. What is added is kept until this process ends or executes something.

use std::ffi::{CStr, CString};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kernel::sys;

/// The variables, once they were looked at.
static VARIABLES: Mutex<Option<Vec<&'static CStr>>> = Mutex::new(None);

fn edit<T>(act: impl FnOnce(&mut Vec<&'static CStr>) -> T) -> T {
    let mut guard: MutexGuard<'_, _> = VARIABLES.lock().unwrap_or_else(PoisonError::into_inner);
    act(guard.get_or_insert_with(sys::variables))
}

/// The value of a variable of this name, if it is one.
fn value<'a>(variable: &'a CStr, name: &CStr) -> Option<&'a CStr> {
    let rest = variable.to_bytes_with_nul().strip_prefix(name.to_bytes())?;
    CStr::from_bytes_with_nul(rest.strip_prefix(b"=")?).ok()
}

/// The first value of a name.
pub(crate) fn get(name: &CStr) -> Option<&'static CStr> {
    edit(|variables| variables.iter().find_map(|variable| value(variable, name)))
}

/// Sets a variable, in the place of the first one of its name.
pub(crate) fn set(name: &CStr, content: &CStr) {
    let text = [name.to_bytes(), b"=", content.to_bytes()].concat();
    // Both ended at their first NUL already.
    let new: &'static CStr = Box::leak(CString::new(text).unwrap_or_default().into_boxed_c_str());
    edit(|variables| match variables.iter_mut().find(|old| value(old, name).is_some()) {
        Some(old) => *old = new,
        None => variables.push(new),
    });
}

/// Removes all variables of a name.
pub(crate) fn unset(name: &CStr) {
    edit(|variables| variables.retain(|variable| value(variable, name).is_none()));
}

/// Removes all variables.
pub(crate) fn clear() {
    edit(Vec::clear);
}

/// All of them, in their order.
pub(crate) fn all() -> Vec<&'static CStr> {
    edit(|variables| variables.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_keep_the_order() {
        let names = |variables: Vec<&CStr>| {
            let text = variables.iter().map(|text| text.to_string_lossy().into_owned());
            text.filter(|text| text.starts_with("edits_")).collect::<Vec<_>>().join(" ")
        };
        let before = all();
        for (name, content) in [(c"edits_a", c"1"), (c"edits_b", c"2"), (c"edits_a", c"3=4")] {
            set(name, content);
        }
        assert_eq!(names(all()), "edits_a=3=4 edits_b=2");
        assert_eq!(get(c"edits_a"), Some(c"3=4"));
        assert_eq!(get(c"edits_"), None);
        unset(c"edits_a");
        assert_eq!(names(all()), "edits_b=2");
        unset(c"edits_b");
        assert_eq!(all(), before);
    }
}
