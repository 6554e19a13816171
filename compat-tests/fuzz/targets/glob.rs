//! libFuzzer's door to [`bleb_fuzz::glob`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bleb_fuzz::glob(input));
