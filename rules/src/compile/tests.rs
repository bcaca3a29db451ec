//! Tables of rule texts and what is said of them.
