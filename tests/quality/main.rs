//! How good detection is: scenarios with labelled attacks, replayed through `keywatch scan`.
//!
//! Black box: records as providers write them go in, alerts in the public form come out. Nothing
//! here knows how rules are evaluated.

mod attacks;
mod benign;
mod companies;
mod evasion;
mod flood;
mod recordings;
mod robustness;
mod scan;
mod scenario;
mod score;
mod whole;
