//! stub
use super::Context; use super::brief::Brief; use crate::rule::{Rule, Silence};
use keywatch_event::{AlertChange, EventTime, Learned};
use std::sync::Arc;
#[derive(Debug)]
pub(crate) struct Quiet;
impl Quiet {
    pub(crate) fn new() -> Self { Self }
    pub(crate) fn take(&mut self, _: &Rule, _: &Silence, _: &Context<'_, '_>, _: &Arc<Brief>) -> Vec<AlertChange> { vec![] }
    pub(crate) fn tick(&mut self, _: &Rule, _: &Silence, _: EventTime) -> Vec<AlertChange> { vec![] }
    pub(crate) fn take_learned(&mut self, _: &str) -> Vec<Learned> { vec![] }
    pub(crate) fn restore(&mut self, _: &str, _: &Learned) {}
}
