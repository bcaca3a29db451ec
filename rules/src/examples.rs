//! x
#[derive(Clone, Debug)] pub struct Example;
