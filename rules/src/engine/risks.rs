//! stub
use super::Engine; use super::verdicts::Verdicts;
#[derive(Debug, Default)]
pub(crate) struct RiskState;
impl Engine { pub(super) fn join_risks(&mut self, _: &mut Verdicts) {} }
