//! stub
#[derive(Debug, Default, Clone)]
pub struct Surroundings;
