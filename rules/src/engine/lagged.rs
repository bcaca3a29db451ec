//! stub
use crate::rule::Count;
use keywatch_event::{EventTime, Learned};
#[derive(Debug)]
pub(crate) struct Lag;
impl Lag {
    pub(crate) fn new(_: usize) -> Self { Self }
    pub(crate) fn bound_for(&mut self, _: &Count, _: &str, _: EventTime) -> Option<(f64, String)> { None }
    pub(crate) fn observe_for(&mut self, _: &Count, _: &str, _: (EventTime, f64, bool)) {}
    pub(crate) fn take_learned(&mut self, _: &str) -> Vec<Learned> { vec![] }
    pub(crate) fn restore(&mut self, _: &str, _: &Learned) {}
}
