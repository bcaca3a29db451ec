//! A stand-in so that this branch compiles alone.
/// Pattern.
#[derive(Clone, Debug)]
pub struct Pattern;
impl Pattern {
    /// Listed.
    ///
    /// # Errors
    /// None.
    pub fn listed(text: &str) -> Result<Self, String> {
        if text.len() > 1000 { Err("long".to_owned()) } else { Ok(Self) }
    }
}
