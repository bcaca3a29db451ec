//! stub
use crate::Seen;
use crate::surroundings::Surroundings;
pub struct View<'v> { seen: &'v Seen<'v>, around: &'v Surroundings }
impl<'v> View<'v> {
    pub fn new(seen: &'v Seen<'v>, around: &'v Surroundings) -> Self { Self { seen, around } }
    pub fn seen(&self) -> &Seen<'v> { self.seen }
    pub fn asn(&self) -> Option<u32> { None }
}
