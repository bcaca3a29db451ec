//! Joining two files.

use crate::config::frame::{Data, Entry, Node, Problems};

/// Both together: mappings joined, lists appended. What stands in both is a mistake.
pub(super) fn joined(before: Node, after: Node, problems: &Problems) -> Node {
    let data = match (before.data, after.data) {
        (Data::Null, data) | (data, Data::Null) => data,
        (Data::Map(mut entries), Data::Map(more)) => {
            for entry in more {
                add(&mut entries, entry, problems);
            }
            Data::Map(entries)
        }
        (Data::List(mut items), Data::List(more)) => {
            items.extend(more);
            Data::List(items)
        }
        (data, _) => {
            let message = format!("the value is set here and in {}", before.origin);
            problems.add(&after.origin, message, "keep one of them");
            data
        }
    };
    Node { data, origin: before.origin, loose: before.loose }
}

fn add(entries: &mut Vec<Entry>, entry: Entry, problems: &Problems) {
    let Some(known) = entries.iter_mut().find(|known| known.key == entry.key) else {
        entries.push(entry);
        return;
    };
    let is_scalar = |node: &Node| node.text().is_some();
    let is_nothing = |node: &Node| matches!(node.data, Data::Null);
    let is_either = |is: &dyn Fn(&Node) -> bool| is(&known.value) || is(&entry.value);
    if is_either(&is_scalar) && !is_either(&is_nothing) {
        let message = format!("`{}` is set here and in {}", entry.key, known.value.origin);
        problems.add(&entry.value.origin, message, "keep one of them");
        return;
    }
    let before = std::mem::replace(&mut known.value, Node::empty());
    known.value = joined(before, entry.value, problems);
}

#[cfg(test)]
mod tests {
    use crate::config::frame::At;
    use crate::config::layers::Layers;
    use crate::config::testing::texts;

    #[test]
    fn mappings_are_joined_and_lists_appended() {
        let layers =
            Layers::of_text("a.yaml", "egress: {allow: [10.0.0.0/8]}\nlists: {canaries: [a]}\nhttps: true\n")
                .and_text(
                    "b.yaml",
                    "egress: {allow: [192.0.2.0/24], allow_http: true}\nlists: {rotators: [b]}\n",
                )
                .and_text("c.yaml", "lists: {canaries: [c]}\nhosts:\n");
        let root = layers.read().unwrap();
        assert_eq!(root.egress.allow.len(), 2);
        assert!(root.egress.allow_http && root.https);
        assert_eq!(root.lists.keys().collect::<Vec<_>>(), ["canaries", "rotators"]);
        let At { origin, .. } = &root.lists["canaries"];
        assert_eq!(origin.to_string(), "a.yaml:2");
    }

    #[test]
    fn a_value_that_is_set_twice_is_a_mistake_that_names_both_places() {
        let found = Layers::of_text("a.yaml", "\nlisten: 127.0.0.1:1\negress: {allow_http: true}\n")
            .and_text("b.yaml", "listen: 127.0.0.1:1\negress:\n  allow_http: false\n  allow: 10.0.0.0/8\n")
            .and_text("c.yaml", "egress: {allow: [10.0.0.0/8]}\n")
            .read()
            .unwrap_err();
        assert_eq!(
            texts(&found),
            [
                "b.yaml:1:9: `listen` is set here and in a.yaml:2; keep one of them",
                "b.yaml:3:15: `allow_http` is set here and in a.yaml:3; keep one of them",
                "c.yaml:1:17: `allow` is set here and in b.yaml:4; keep one of them",
            ]
        );
    }
}
