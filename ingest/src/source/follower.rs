//! x
#[derive(Debug)]
pub struct Follower;
