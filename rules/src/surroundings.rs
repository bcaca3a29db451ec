//! A stand-in so that this branch compiles alone.
use crate::pattern::Pattern;
use keywatch_event::EventTime;
use std::collections::BTreeMap;
/// Surroundings.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Lists.
    pub lists: Lists,
    /// Planned.
    pub planned: Vec<Planned>,
}
/// Lists.
#[derive(Clone, Debug, Default)]
pub struct Lists(BTreeMap<String, Vec<String>>);
impl Lists {
    /// New.
    #[must_use]
    pub fn new(lists: BTreeMap<String, Vec<String>>) -> Self {
        Self(lists)
    }
    /// Get.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.0.get(name).map(Vec::as_slice)
    }
}
/// Planned.
#[derive(Clone, Debug)]
pub struct Planned {
    /// P.
    pub principal: Option<Pattern>,
    /// S.
    pub secret: Option<Pattern>,
    /// F.
    pub from: EventTime,
    /// T.
    pub to: EventTime,
    /// R.
    pub reason: String,
}
