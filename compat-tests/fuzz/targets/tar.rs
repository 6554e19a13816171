//! libFuzzer's door to [`bleb_fuzz::tar`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bleb_fuzz::tar(input));
