//! Comparing texts without regard to case, and without allocating where the text is ASCII.
//!
//! Lower case here is Unicode's ([`str::to_lowercase`]), whichever way it is reached.

/// Longest ASCII text that is lowered on the stack. Operations, services, ids and most user
/// agents are shorter; a longer one costs an allocation and nothing else.
const STACK_BYTES: usize = 128;

/// Hands the lower-case form of `text` to `then`.
pub(crate) fn lower<R>(text: &str, then: impl FnOnce(&str) -> R) -> R {
    if !text.is_ascii() {
        return then(&text.to_lowercase());
    }
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return then(text);
    }
    let mut stack = [0_u8; STACK_BYTES];
    if let Some(room) = stack.get_mut(..text.len()) {
        room.copy_from_slice(text.as_bytes());
        room.make_ascii_lowercase();
        if let Ok(lowered) = std::str::from_utf8(room) {
            return then(lowered);
        }
    }
    then(&text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_gives_what_the_long_way_gives(text in "\\PC{0,40}|[A-Za-z/]{0,600}") {
            prop_assert_eq!(lower(&text, str::to_owned), text.to_lowercase());
        }
    }
}
