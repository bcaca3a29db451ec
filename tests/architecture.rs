//! ARCHITECTURE.md tells the truth: every path and crate it names exists.

use std::path::Path;

#[test]
fn every_path_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = include_str!("../ARCHITECTURE.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> =
        quoted.filter(|word| word.contains('/') && !word.contains([' ', '<', '*', '{', '('])).collect();
    assert!(paths.len() > 15, "only {} paths named", paths.len());
    let missing: Vec<&&str> =
        paths.iter().filter(|path| !root.join(path.trim_end_matches('/')).exists()).collect();
    assert!(missing.is_empty(), "named but not there: {missing:?}");
}

#[test]
fn every_crate_of_the_workspace_is_told_about() {
    let manifest = include_str!("../Cargo.toml");
    let members =
        manifest.split_once("members = [").and_then(|(_, rest)| rest.split_once(']')).expect("members").0;
    let text = include_str!("../ARCHITECTURE.md");
    for member in members.split('"').skip(1).step_by(2) {
        assert!(text.contains(&format!("`{member}/`")), "{member} is not told about");
    }
}
