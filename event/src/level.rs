//! How urgent an event or an alert is.

use crate::class::{UnknownName, vocabulary};
use std::fmt;
use std::str::FromStr;

vocabulary! {
    /// Urgency, least first. `Info` classifies; from `Warning` on it is an alert.
    Level {
        /// Log only.
        Info = "info",
        /// Somebody should look in working hours.
        Warning = "warning",
        /// Somebody should look today.
        High = "high",
        /// Somebody should look now.
        Critical = "critical",
    }
}
