//! What a provider is asked about how it logs, read-only, and what it would not say.
//!
//! Facts alone: what they mean for who watches is for somebody else to judge.

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Untold>;

/// A question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The permission it takes, by the provider's name: `cloudtrail:DescribeTrails`.
    pub needs: String,
    /// What was answered instead.
    pub said: String,
}
