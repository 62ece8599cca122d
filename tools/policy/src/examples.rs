//! The worked examples of `docs/policy.md`, for the tests of this package and of `tools/prove`.

use std::collections::BTreeMap;

/// The files in the guide's fences, such as ` ```cedar access.cedar`, by section.
#[must_use]
pub fn worked_examples(guide: &str) -> Vec<(&str, BTreeMap<&str, String>)> {
    let mut sections: Vec<(&str, BTreeMap<&str, String>)> = Vec::new();
    let mut file: Option<&str> = None;
    for line in guide.lines() {
        match (line.strip_prefix("```"), file) {
            (Some(_), Some(_)) => file = None,
            (Some(info), None) => file = Some(info.split_once(' ').map_or("", |(_, name)| name)),
            (None, Some(name)) => {
                if let (Some((_, files)), false) = (sections.last_mut(), name.is_empty()) {
                    let text = files.entry(name).or_default();
                    text.push_str(line);
                    text.push('\n');
                }
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("### ") {
                    sections.push((title, BTreeMap::new()));
                }
            }
        }
    }
    sections.retain(|(_, files)| !files.is_empty());
    sections
}
