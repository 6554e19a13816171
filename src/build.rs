//! How the program that is shipped is linked, which is musl's and optimised: `src/layout.ld`.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=src/layout.ld");
    let is = |name: &str, value: &str| var(name).as_deref() == Ok(value);
    if is("CARGO_CFG_TARGET_ENV", "musl") && is("PROFILE", "release") {
        let root = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        // Both a compiler that links and a linker know these words.
        println!("cargo::rustc-link-arg-bins=-T{root}/src/layout.ld");
        // 24 bytes for each pointer in a table become one bit.
        println!("cargo::rustc-link-arg-bins=-zpack-relative-relocs");
        // Code and constants in one mapping: each mapping is one more to make, clone and undo.
        println!("cargo::rustc-link-arg-bins=-znoseparate-code");
    }
}
