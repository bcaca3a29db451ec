//! stub
use crate::matcher::Matcher;
use crate::rule::MatcherId;
use crate::view::View;
#[derive(Debug)]
pub struct Plan(Vec<Matcher>);
impl Plan {
    pub fn new(m: &[Matcher]) -> Self { Self(m.to_vec()) }
    pub fn matching(&self, view: &View<'_>, found: &mut Vec<MatcherId>) {
        for (i, m) in self.0.iter().enumerate() { if m.matches(view) { found.push(MatcherId(i)); } }
    }
}
