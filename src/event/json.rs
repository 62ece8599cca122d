//! JSON read member by member, without building a tree. What does not have the expected type counts
//! as absent.

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The members of a JSON object, their values unread.
///
/// The members of an object in which a name occurs twice are ambiguous: two readers could disagree
/// about which of them counts.
#[derive(Default)]
pub(super) struct Members<'a> {
    list: Vec<(Cow<'a, str>, Raw<'a>)>,
    pub(super) is_ambiguous: bool,
}

/// A JSON value, unread.
#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Raw<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> Members<'a> {
    /// The members of the object in `json`; none if it is not one object.
    pub(super) fn of(json: &'a str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Cow<'a, str>, Raw<'a>)> {
        self.list.iter()
    }

    pub(super) fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.list.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The members of the object `name`; none if there is no such object.
    pub(super) fn object(&self, name: &str) -> Self {
        self.get(name).map(|value| Self::of(value.0.get())).unwrap_or_default()
    }

    /// The members of the object `name`, if there is one that is not empty.
    pub(super) fn map(&self, name: &str) -> Option<Self> {
        Some(self.object(name)).filter(|map| !map.list.is_empty())
    }

    /// The string `name`.
    pub(super) fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.string()
    }

    /// The string `name`, if it is not empty.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.string(name).filter(|text| !text.is_empty())
    }
}

impl<'a> Raw<'a> {
    /// The value, if it is a string.
    pub(super) fn string(self) -> Option<Cow<'a, str>> {
        serde_json::from_str::<Text>(self.0.get()).ok().map(|Text(text)| text)
    }

    pub(super) fn is_true(self) -> bool {
        self.0.get() == "true"
    }

    /// The elements of a list, or the value itself if it is not a list.
    pub(super) fn one_or_many(self) -> Vec<Self> {
        if !self.0.get().starts_with('[') {
            return vec![self];
        }
        serde_json::from_str::<Elements>(self.0.get()).map(|list| list.0).unwrap_or_default()
    }
}

/// A string, borrowed unless it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::<(Cow<'de, str>, Raw<'de>)>::with_capacity(16);
        while let Some((Text(name), value)) = object.next_entry()? {
            list.push((name, value));
        }
        let is_ambiguous = !is_unique(list.iter().map(|(name, _)| &**name).collect());
        Ok(Members { list, is_ambiguous })
    }
}

fn is_unique(mut names: Vec<&str>) -> bool {
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

/// The elements of a list.
struct Elements<'a>(Vec<Raw<'a>>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Elements(elements))
    }
}
