//! When to ask again.

use std::time::Duration;

use super::{Client, refusal};
use crate::clock::{self, Deadline};
use crate::failure::Failure;
use crate::http::{NoReply, Reply, unreachable};
use crate::terminal;

/// Attempts without a usable reply, the first included.
const MOST_ATTEMPTS: u32 = 5;
/// The same, if no reply came at all.
const MOST_SILENT_ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What to do after an attempt.
#[derive(Debug)]
pub(super) enum Next {
    Done(Reply),
    Again(Duration),
}

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Retry {
    deadline: Deadline,
    attempts: u32,
}

impl Retry {
    pub(super) fn new(deadline: Deadline) -> Self {
        Self { deadline, attempts: 0 }
    }

    /// What to do after `replied`; the failure if there is nothing to gain from another attempt.
    pub(super) fn after(
        &mut self,
        replied: Result<Reply, NoReply>,
        client: &Client<'_>,
    ) -> Result<Next, Failure> {
        self.attempts += 1;
        let reply = match replied {
            Ok(reply) if reply.status == 200 => return Ok(Next::Done(reply)),
            Ok(reply) => reply,
            Err(reason) if reason.may_pass() && self.attempts < MOST_SILENT_ATTEMPTS => {
                return self.again(None).ok_or_else(|| unreachable(reason, client.host()));
            }
            Err(reason) => return Err(unreachable(reason, client.host())),
        };
        match (reply.status, retry_after(&reply)) {
            (429, Some(wait)) => {
                let again = self.fits(wait).then_some(Next::Again(wait));
                if again.is_some() && terminal::shows_progress() {
                    terminal::note(&format!(
                        "over the quota, waiting {} seconds …",
                        wait.as_secs()
                    ));
                }
                again.ok_or_else(|| {
                    refusal::throttled(client.host(), &reply, clock::unix_now(), wait)
                })
            }
            (429 | 503, wait) if self.attempts < MOST_ATTEMPTS => {
                self.again(wait).ok_or_else(|| client.failure(&reply))
            }
            _ => Err(client.failure(&reply)),
        }
    }

    /// Another attempt after `wait`, or a random pause that grows; `None` if it does not fit the deadline.
    fn again(&self, wait: Option<Duration>) -> Option<Next> {
        let pause = wait.unwrap_or_else(|| jittered(self.attempts));
        self.fits(pause).then_some(Next::Again(pause))
    }

    fn fits(&self, pause: Duration) -> bool {
        pause < self.deadline.left()
    }
}

/// Half to all of a pause that doubles with each attempt.
fn jittered(attempts: u32) -> Duration {
    let pause =
        FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(8)).min(LONGEST_PAUSE);
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// The seconds of `Retry-After`.
fn retry_after(reply: &Reply) -> Option<Duration> {
    reply.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        for (attempts, most) in [(1, 250), (2, 500), (3, 1000), (9, 4000), (1000, 4000)] {
            let pause = jittered(attempts).as_millis();
            assert!((most / 2..=most).contains(&pause), "{attempts}: {pause}");
        }
    }
}
