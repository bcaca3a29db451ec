//! None, one or many of a thing: what is nearly always one costs no allocation.

use std::ops::Deref;

/// A list that is seldom longer than one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    Many(Box<[T]>),
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut all = all.into_iter();
        let Some(first) = all.next() else { return Self::None };
        match all.next() {
            None => Self::One(first),
            Some(second) => Self::Many([first, second].into_iter().chain(all).collect()),
        }
    }
}
