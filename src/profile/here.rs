//! The working directory as a profile names it.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use nix::NixPath;
use nix::sys::stat::stat;
use nix::unistd::getcwd;

use crate::error::describe;
use crate::kernel::environment;

/// What `${PWD}` stands for: the working directory, by the name that PWD has for it if it has one.
///
/// A profile that is meant for one project must not hand out a whole home, so it is refused where
/// the home is, or lies below.
pub(crate) fn working_directory() -> Result<Vec<u8>, String> {
    let real =
        getcwd().map_err(|errno| format!("${{PWD}}: no working directory: {}", describe(errno)))?;
    let Some(home) = environment::get(c"HOME").filter(|home| !home.is_empty()) else {
        return Err("${PWD} may be all of the home directory, for HOME is not set".to_owned());
    };
    let home = Path::new(OsStr::from_bytes(home.to_bytes()));
    let resolved = std::fs::canonicalize(home).unwrap_or_default();
    let around = home.ancestors().chain(resolved.ancestors()).chain([Path::new("/")]);
    if around.filter(|path| path.has_root()).any(is_here) {
        return Err(format!(
            "${{PWD}} is {}, which is / or contains the home directory: run bwrap in a directory \
             below it",
            real.display()
        ));
    }
    let named = environment::get(c"PWD").filter(|name| name.to_bytes().starts_with(b"/"));
    let named = named.filter(|name| is_here(*name));
    Ok(named.map_or_else(|| real.into_os_string().into_vec(), |name| name.to_bytes().to_vec()))
}

/// Whether a path leads to the working directory.
fn is_here(path: &(impl NixPath + ?Sized)) -> bool {
    match (stat(path), stat(c".")) {
        (Ok(there), Ok(here)) => (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino),
        _ => false,
    }
}
