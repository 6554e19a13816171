//! Profiles: files of options that people, and `--learn`, write.

pub(crate) mod text;
