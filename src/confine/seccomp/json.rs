//! Values of JSON that are taken for what they are: serde would take an array for a struct, field
//! by field, and an object with one member for a word.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IntoDeserializer, MapAccess, Visitor};

/// A struct that was written as an object.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

/// An enum that was written as a string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<T>(pub(crate) T);

/// Reads one of the two.
struct Strict<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Strict<Object<T>> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Strict::<Object<T>>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Strict<Text<T>> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(text.into_deserializer()).map(Text)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Strict::<Text<T>>(PhantomData))
    }
}
