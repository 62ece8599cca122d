//! A configuration file of the user, changed with their consent.
//!
//! Invariant: the old text is kept in a copy before the new one takes its place, by a rename, with the old permissions.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::cache::{create_private, write_new_private};
use crate::clock::{self, UnixSeconds};
use crate::failure::Failure;

/// A file before and after a change.
#[derive(Debug)]
pub(crate) struct EditedFile {
    path: PathBuf,
    before: Option<String>,
    pub(crate) after: String,
}

impl EditedFile {
    /// Reads the file; an absent one is empty.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        // A link stays a link: its target is changed.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let before = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(problem("read", &path, &error)),
        };
        Ok(Self { after: before.clone().unwrap_or_default(), before, path })
    }

    pub(crate) fn is_changed(&self) -> bool {
        self.before.as_deref().unwrap_or_default() != self.after
    }

    /// The changed lines, for people.
    pub(crate) fn change(&self) -> String {
        let before: Vec<&str> = self.before.as_deref().unwrap_or_default().lines().collect();
        let after: Vec<&str> = self.after.lines().collect();
        let same = before.iter().zip(&after).take_while(|(old, new)| old == new).count();
        let (old, new) = (&before[same..], &after[same..]);
        let same_end =
            old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        let mut text = format!(
            "{}{}\n",
            self.path.display(),
            if self.before.is_none() { " (new)" } else { "" }
        );
        for line in &old[..old.len() - same_end] {
            let _ = writeln!(text, "  - {line}");
        }
        for line in &new[..new.len() - same_end] {
            let _ = writeln!(text, "  + {line}");
        }
        text
    }

    /// Keeps a copy of the old text and writes the new one. Returns where the copy is.
    pub(crate) fn save(&self) -> Result<Option<PathBuf>, Failure> {
        let failed = |error: &std::io::Error| problem("written", &self.path, error);
        // The change was shown for the text that was there, and somebody may have thought about it for long.
        if Self::open(&self.path)?.before != self.before {
            return Err(Failure::local(
                format!("{} was changed by another program meanwhile", self.path.display()),
                "run the command again",
            ));
        }
        if let Some(directory) = self.path.parent()
            && !directory.is_dir()
        {
            create_private(directory).map_err(|error| failed(&error))?;
        }
        let copy = self.copy(clock::unix_now()).map_err(|error| failed(&error))?;
        let new = self.beside(&format!("new-{}", std::process::id()));
        let written = write_new_private(&new, self.after.as_bytes()).and_then(|()| {
            if let Ok(metadata) = fs::metadata(&self.path) {
                fs::set_permissions(&new, metadata.permissions())?;
            }
            fs::rename(&new, &self.path)
        });
        written.map_err(|error| {
            let _ = fs::remove_file(&new);
            failed(&error)
        })?;
        Ok(copy)
    }

    /// Writes the old text beside the file, if there was any.
    fn copy(&self, now: UnixSeconds) -> std::io::Result<Option<PathBuf>> {
        let Some(before) = &self.before else { return Ok(None) };
        let mut path = self.beside(&format!("before-sentinel-{now}"));
        let mut number = 1;
        while path.exists() {
            number += 1;
            path = self.beside(&format!("before-sentinel-{now}-{number}"));
        }
        write_new_private(&path, before.as_bytes())?;
        Ok(Some(path))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(suffix);
        self.path.with_file_name(name)
    }
}

/// Appends a block after a blank line.
pub(crate) fn append(text: &mut String, block: &str) {
    if !text.is_empty() {
        text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
    }
    text.push_str(block);
}

fn problem(done: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::local(
        format!("{} cannot be {done}: {error}", path.display()),
        "correct its permissions and its text, which must be UTF-8; nothing was changed",
    )
}
