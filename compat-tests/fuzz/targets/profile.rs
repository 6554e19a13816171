//! libFuzzer's door to [`bleb_fuzz::profile`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bleb_fuzz::profile(input));
