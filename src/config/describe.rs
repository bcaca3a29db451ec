//! What the declarations say about themselves: the JSON Schema and the reference.

mod doc;
mod reference;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use doc::Doc;
pub(crate) use reference::reference;
pub(crate) use schema::schema;
