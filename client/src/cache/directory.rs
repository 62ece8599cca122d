//! The directory of the cache: one file for each entry, mode 0600, replaced by a rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::Unreadable;
use super::{Age, Entry, Key, KeyRing, LockFile};
use crate::clock::{self, UnixSeconds};
use crate::environment::Environment;

/// Lock files that nobody has used for this long are removed.
const UNUSED: Duration = Duration::from_hours(7 * 24);

/// Why the cache, or one entry, cannot be used. Never a reason not to vend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(pub(crate) String);

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The directory of the cache. It may not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn of(environment: &Environment) -> Result<Self, Problem> {
        let place = environment.cache_directory();
        place
            .map(Self)
            .ok_or_else(|| Problem("there is no home directory for the cache".to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Creates the directory, for its owner only.
    pub(crate) fn create(&self) -> Result<(), Problem> {
        let created = if self.0.is_dir() { Ok(()) } else { create_private(&self.0) };
        created.map_err(|error| problem("created", &self.0, &error))?;
        self.check()
    }

    /// Refuses a directory in which somebody else can put files. An absent one is in order.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let directory = self.0.display();
        match permissions::intruders(&self.0) {
            Ok(None) => Ok(()),
            Ok(Some(Intruders::Owner)) => Err(Problem(format!(
                "the cache directory {directory} belongs to another user: set XDG_CACHE_HOME to a directory of your own"
            ))),
            Ok(Some(Intruders::Writers)) => Err(Problem(format!(
                "others can write to the cache directory {directory}: make it yours with `chmod 700`"
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(problem("examined", &self.0, &error)),
        }
    }

    fn file(&self, key: &Key, extension: &str) -> PathBuf {
        self.0.join(format!("{}.{extension}", key.file_stem()))
    }

    pub(super) fn lock_file(&self, key: &Key) -> Result<LockFile, Problem> {
        let path = self.file(key, "lock");
        LockFile::open(&path).map_err(|error| problem("opened", &path, &error))
    }

    pub(super) fn read(&self, key: &Key) -> Result<Option<Entry>, Problem> {
        let path = self.file(key, "json");
        let ignored = |why: &str| Err(Problem(format!("the cache file {} {why}", path.display())));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return ignored(&format!("cannot be read: {error}")),
        };
        if let Some(mode) = permissions::readable_by_others(&file) {
            return ignored(&format!("can be read by others (mode {mode:04o})"));
        }
        if !permissions::is_own(&file) {
            return ignored("belongs to another user");
        }
        let mut text = Vec::new();
        if let Err(error) = io::Read::read_to_end(&mut file, &mut text) {
            return ignored(&format!("cannot be read: {error}"));
        }
        match Entry::parse(&text) {
            Ok(entry) => Ok(Some(entry)),
            Err(Unreadable::Damaged) => ignored("is damaged"),
            Err(Unreadable::Version(version)) => ignored(&format!("has version {version}, not 1")),
        }
    }

    /// Writes a new file and renames it, so that no reader ever sees a part of it.
    pub(super) fn write(&self, key: &Key, entry: &Entry) -> Result<(), Problem> {
        let (new, path) = (self.file(key, "new"), self.file(key, "json"));
        // The caller holds the lock, so a file of this name is from a process that was killed.
        let _ = fs::remove_file(&new);
        let written = write_new_private(&new, entry.to_json().as_bytes())
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| {
            let _ = fs::remove_file(&new);
            problem("written", &path, &error)
        })
    }

    /// Removes all entries, those of the key ring included. Returns how many there were.
    pub(crate) fn clear(&self) -> Result<usize, Problem> {
        let mut removed = 0;
        for path in self.files().map_err(|error| problem("read", &self.0, &error))? {
            if has_extension(&path, &["json", "new"]) {
                fs::remove_file(&path).map_err(|error| problem("removed", &path, &error))?;
                removed += usize::from(has_extension(&path, &["json"]));
            } else if let Some(stem) = path.file_stem().and_then(|it| it.to_str())
                && has_extension(&path, &["lock"])
            {
                // The key ring cannot be listed. Each of its items has a lock here.
                removed += usize::from(KeyRing::of_file_stem(stem).remove().is_ok());
            }
        }
        Ok(removed)
    }

    /// Writes a file and removes it again.
    pub(crate) fn probe(&self) -> Result<(), Problem> {
        let path = self.0.join(format!("probe-{}.new", std::process::id()));
        let written = write_new_private(&path, b"probe");
        let _ = fs::remove_file(&path);
        written.map_err(|error| problem("written", &path, &error))
    }

    /// Removes expired entries, and locks that nobody has used for a week. Failures are ignored: the next call tries again.
    pub(super) fn prune(&self, now: UnixSeconds) {
        for path in self.files().unwrap_or_default() {
            let entry = has_extension(&path, &["json"]).then(|| fs::read(&path).ok()).flatten();
            let entry = entry.and_then(|text| Entry::parse(&text).ok());
            let expired = entry.is_some_and(|entry| entry.age(now) == Age::Expired);
            if expired || (has_extension(&path, &["lock", "new"]) && is_unused(&path)) {
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        match fs::read_dir(&self.0) {
            Ok(files) => files.map(|file| Ok(file?.path())).collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// A file for a setting of an end point that is worth remembering.
    pub(crate) fn memo(&self, stem: &str) -> PathBuf {
        self.0.join(format!("{stem}.memo"))
    }
}

fn problem(done: &str, path: &Path, error: &io::Error) -> Problem {
    Problem(format!("{} cannot be {done}: {error}", path.display()))
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|it| it.to_str()).is_some_and(|it| extensions.contains(&it))
}

fn is_unused(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| clock::now().duration_since(at).is_ok_and(|age| age > UNUSED))
}

/// A directory, and those above it, for its owner only.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    permissions::private_directory(&mut builder);
    builder.create(path)
}

/// Writes a new file that only its owner can read, from the first byte on.
pub(crate) fn write_new_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    permissions::private_file(&mut options);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Who else can put files into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has owners and modes"))]
pub(crate) enum Intruders {
    /// Its owner is not this user.
    Owner,
    /// Its mode lets others write.
    Writers,
}

/// Unix modes and owners. On Windows the directory of the profile has an access list that already excludes others.
#[cfg(unix)]
pub(crate) mod permissions {
    use super::Intruders;
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
    use std::path::Path;

    pub(crate) fn private_directory(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    pub(crate) fn private_file(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    /// The mode, if others than the owner can read or write the file.
    pub(crate) fn readable_by_others(file: &File) -> Option<u32> {
        // Unknown counts as readable by everybody.
        let mode = file.metadata().map_or(0o777, |metadata| metadata.mode() & 0o777);
        (mode & 0o077 != 0).then_some(mode)
    }

    /// Whether this user owns the file.
    pub(crate) fn is_own(file: &File) -> bool {
        file.metadata().is_ok_and(|metadata| metadata.uid() == own_id())
    }

    pub(crate) fn intruders(path: &Path) -> std::io::Result<Option<Intruders>> {
        let metadata = path.metadata()?;
        if metadata.uid() != own_id() {
            return Ok(Some(Intruders::Owner));
        }
        Ok((metadata.mode() & 0o022 != 0).then_some(Intruders::Writers))
    }

    fn own_id() -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

#[cfg(not(unix))]
pub(crate) mod permissions {
    use super::Intruders;
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::path::Path;

    pub(crate) fn private_directory(_: &mut DirBuilder) {}

    pub(crate) fn private_file(_: &mut OpenOptions) {}

    pub(crate) fn readable_by_others(_: &File) -> Option<u32> {
        None
    }

    pub(crate) fn is_own(_: &File) -> bool {
        true
    }

    #[expect(clippy::unnecessary_wraps, reason = "on Unix, a question to the file system")]
    pub(crate) fn intruders(_: &Path) -> std::io::Result<Option<Intruders>> {
        Ok(None)
    }
}
