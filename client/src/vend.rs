//! Credentials from the cache, or from the end point.
//!
//! | the entry is | what happens |
//! |---|---|
//! | fresh | it is used, without a lock, a connection or the AWS configuration |
//! | aging | the process that gets the lock refreshes it; the others use it |
//! | expired or absent | the process that gets the lock asks; the others wait for it |
//!
//! If a refresh fails while the old credentials are valid, the old ones are used, unless the end point refused: a refusal
//! takes effect at once.

use crate::cache::{Age, Cache, Entry, Key, Lock, LockFile, Problem, Waited};
use crate::cli::Vend;
use crate::clock::{self, Deadline};
use crate::credentials::Credentials;
use crate::endpoint;
use crate::environment::Environment;
use crate::failure::{Exit, Failure};
use crate::settings::{CacheKind, Endpoint};
use crate::terminal;
use crate::wanted::Wanted;

/// A request for credentials, with everything that selects them.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) endpoint: Endpoint,
    pub(crate) wanted: Wanted,
    key: Key,
    refresh: bool,
}

impl Request {
    pub(crate) fn new(
        mut endpoint: Endpoint,
        vend: &Vend,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let wanted = Wanted::new(&vend.ask, &endpoint, environment)?;
        if vend.no_cache {
            endpoint.cache = CacheKind::Off;
        }
        let key = Key::new(&endpoint, &wanted, environment);
        Ok(Self { endpoint, wanted, key, refresh: vend.refresh })
    }

    /// Ends the effect of `--refresh`: further calls may use the cache.
    pub(crate) fn refreshed(&mut self) {
        self.refresh = false;
    }
}

/// The cache for a request. Without a usable one, reports why.
pub(crate) fn open_cache(request: &Request, environment: &Environment) -> Cache {
    let (cache, problem) = Cache::open(request.endpoint.cache, environment);
    if let Some(problem) = problem {
        warn(&Problem(format!("{problem}; the credentials were not cached")));
    }
    cache
}

/// Credentials for `request`, from the cache if it has valid ones.
pub(crate) fn credentials(
    request: &Request,
    cache: &Cache,
    environment: &Environment,
) -> Result<Credentials, Failure> {
    let old = read(cache, &request.key);
    let now = clock::unix_now();
    match &old {
        Some(entry) if !request.refresh && entry.age(now) == Age::Fresh => {
            return Ok(entry.credentials.clone());
        }
        _ => {}
    }
    let deadline = Deadline::after(request.endpoint.timeout);
    let valid = old.as_ref().filter(|entry| !request.refresh && entry.age(now) == Age::Aging);
    match valid {
        Some(valid) => refreshed(request, cache, environment, deadline, valid),
        None => awaited(request, cache, environment, deadline, old.as_ref()),
    }
}

/// New credentials if no other process is getting them, else the ones that are still valid.
fn refreshed(
    request: &Request,
    cache: &Cache,
    environment: &Environment,
    deadline: Deadline,
    valid: &Entry,
) -> Result<Credentials, Failure> {
    let lock = cache.lock_file(&request.key).ok().flatten();
    let lock = match lock.map(LockFile::try_lock) {
        Some(Ok(Ok(lock))) => Some(lock),
        Some(Ok(Err(_))) => return Ok(valid.credentials.clone()),
        Some(Err(_)) | None => None,
    };
    // Another process may have refreshed it between the look and the lock.
    if let Some(entry) = read(cache, &request.key)
        && entry.age(clock::unix_now()) == Age::Fresh
    {
        return Ok(entry.credentials);
    }
    match ask(request, cache, environment, deadline, lock) {
        Err(failure) if failure.exit != Exit::Refused => {
            terminal::note(&format!(
                "{failure}; the cached credentials are still valid and were used"
            ));
            Ok(valid.credentials.clone())
        }
        asked => asked,
    }
}

/// New credentials, asked for by this process or by the one that holds the lock.
fn awaited(
    request: &Request,
    cache: &Cache,
    environment: &Environment,
    deadline: Deadline,
    old: Option<&Entry>,
) -> Result<Credentials, Failure> {
    let usable = || {
        let entry = cache.read(&request.key).ok().flatten()?;
        let is_new =
            old.is_none_or(|old| old.credentials.access_key_id != entry.credentials.access_key_id);
        (is_new && entry.age(clock::unix_now()) != Age::Expired).then_some(entry.credentials)
    };
    let file = match cache.lock_file(&request.key) {
        Ok(Some(file)) => file,
        Ok(None) => return ask(request, cache, environment, deadline, None),
        Err(problem) => return uncached(request, environment, deadline, &problem),
    };
    match file.lock(deadline, usable) {
        Ok(Waited::Done(credentials)) => Ok(credentials),
        Ok(Waited::Locked(mut lock)) => match (usable(), lock.failure_while_waiting()) {
            (Some(credentials), _) => Ok(credentials),
            (None, Some(failure)) => Err(failure),
            (None, None) => ask(request, cache, environment, deadline, Some(lock)),
        },
        Ok(Waited::TimedOut) => Err(Failure::unavailable(
            "another sentinel asked for the same credentials and did not finish in time",
            "try again, or with a longer --timeout",
        )),
        Err(error) => {
            let problem = Problem(format!("the lock of the cache cannot be taken: {error}"));
            uncached(request, environment, deadline, &problem)
        }
    }
}

/// Credentials without a cache, and the reason on standard error.
fn uncached(
    request: &Request,
    environment: &Environment,
    deadline: Deadline,
    problem: &Problem,
) -> Result<Credentials, Failure> {
    warn(problem);
    ask(request, &Cache::in_memory(), environment, deadline, None)
}

/// Asks the end point, and caches the answer for everybody.
fn ask(
    request: &Request,
    cache: &Cache,
    environment: &Environment,
    deadline: Deadline,
    lock: Option<Lock>,
) -> Result<Credentials, Failure> {
    match endpoint::run(endpoint::vend(request, environment, deadline)) {
        Ok(credentials) => {
            let now = clock::unix_now();
            let entry = Entry { issued: now, credentials: credentials.clone() };
            if let Err(problem) = cache.write(&request.key, &entry) {
                warn(&Problem(format!("{problem}; the credentials were not cached")));
            }
            cache.prune(now);
            drop(lock);
            Ok(credentials)
        }
        Err(failure) => {
            if let Some(mut lock) = lock {
                lock.leave(&failure);
            }
            Err(failure)
        }
    }
}

/// The entry; a damaged one is reported and treated as absent.
fn read(cache: &Cache, key: &Key) -> Option<Entry> {
    match cache.read(key) {
        Ok(entry) => entry,
        Err(problem) => {
            warn(&Problem(format!("{problem}; it was not used")));
            None
        }
    }
}

/// Reports a problem of the cache, which is no failure.
pub(crate) fn warn(problem: &Problem) {
    terminal::note(&format!("warning: {problem}"));
}
