//! What a change of a bundle newly grants and newly refuses.

use crate::bundle::{Bundle, LONGEST};
use crate::callers::{self, Candidate};
use crate::catalogue::{self, Difference, Effect};
use crate::grants::{Answer, Applicable, Question, find};
use crate::json::Mentions;
use crate::prover::Prover;
use crate::world::World;
use cedar_policy::PolicySet;
use policy::Action;
use std::collections::BTreeSet;

/// A comparison of two bundles.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) profiles: Vec<OfProfile>,
    pub(crate) catalogue: Vec<Difference>,
}

/// The comparison of an action on a profile.
#[derive(Debug)]
pub(crate) struct OfProfile {
    pub(crate) profile: String,
    pub(crate) action: Action,
    pub(crate) newly_granted: Answer,
    pub(crate) newly_refused: Answer,
    /// Policies of the new bundle that can fail.
    pub(crate) failing: Vec<(String, Answer)>,
}

impl Comparison {
    pub(crate) async fn of(
        prover: &mut Prover,
        old: &Bundle,
        new: &Bundle,
    ) -> Result<Self, String> {
        let names: BTreeSet<&String> = old.catalogue.keys().chain(new.catalogue.keys()).collect();
        let mut profiles = Vec::new();
        for profile in names {
            for action in [Action::Vend, Action::Approve] {
                profiles.push(compare(prover, old, new, profile, action).await?);
            }
        }
        Ok(Self { profiles, catalogue: catalogue::differences(old, new) })
    }

    /// Whether the change newly grants something, as far as the proofs can exclude it.
    pub(crate) fn widens(&self) -> bool {
        let proved = self
            .profiles
            .iter()
            .any(|of| matches!(of.newly_granted, Answer::Witness(_) | Answer::Unconfirmed(_)));
        proved || self.catalogue.iter().any(|difference| difference.effect == Effect::Widens)
    }

    pub(crate) fn undecided(&self) -> bool {
        let answers = self.profiles.iter().flat_map(|of| [&of.newly_granted, &of.newly_refused]);
        answers.into_iter().any(|answer| matches!(answer, Answer::Undecided(_)))
    }
}

async fn compare(
    prover: &mut Prover,
    old: &Bundle,
    new: &Bundle,
    profile: &str,
    action: Action,
) -> Result<OfProfile, String> {
    let mut before = side(old, action, profile, "old:")?;
    let mut after = side(new, action, profile, "new:")?;
    let (mut newly_granted, mut newly_refused) = (Answer::None, Answer::None);
    if !same_text(old, new, action, profile)? {
        let mut mentions = Mentions::default();
        before.read(&mut mentions);
        after.read(&mut mentions);
        let world = world(old, new, profile, action, &mentions);
        let candidates = callers::candidates(&mentions, &world.partitions, &[old, new]);
        before.refuse_failures(prover, &world, &candidates, old).await?;
        after.refuse_failures(prover, &world, &candidates, new).await?;
        let mut both = Both { prover, world: &world, candidates: &candidates };
        newly_granted = both.beyond((new, &after), (old, &before)).await?;
        newly_refused = both.beyond((old, &before), (new, &after)).await?;
    }
    let failing = after.failing;
    Ok(OfProfile { profile: profile.to_owned(), action, newly_granted, newly_refused, failing })
}

fn side(
    bundle: &Bundle,
    action: Action,
    profile: &str,
    prefix: &str,
) -> Result<Applicable, String> {
    if bundle.has(profile) {
        Applicable::of(bundle, action, profile, prefix)
    } else {
        Ok(Applicable::default())
    }
}

/// Whether the policies and groups of a profile are the same, by their text.
fn same_text(old: &Bundle, new: &Bundle, action: Action, profile: &str) -> Result<bool, String> {
    let (before, after) = (old.rules(action, profile)?, new.rules(action, profile)?);
    let alike = before.len() == after.len()
        && before.iter().zip(&after).all(|(one, other)| one.decides_like(other));
    Ok(alike && old.has(profile) == new.has(profile) && old.groups(profile) == new.groups(profile))
}

fn world<'a>(
    old: &Bundle,
    new: &Bundle,
    profile: &'a str,
    action: Action,
    mentions: &'a Mentions,
) -> World<'a> {
    let sides = || [("old:", old), ("new:", new)].into_iter().filter(|(_, side)| side.has(profile));
    let groups = sides().flat_map(|(prefix, side)| {
        side.groups(profile).into_iter().map(move |group| format!("{prefix}{group}"))
    });
    World {
        action,
        profile,
        longest: sides().map(|(_, side)| side.longest(profile)).min().unwrap_or(LONGEST),
        partitions: sides().filter_map(|(_, side)| side.partition(profile)).collect(),
        groups: groups.collect(),
        scopes: sides().flat_map(|(_, side)| side.scopes(profile)).collect(),
        mentions,
    }
}

struct Both<'a> {
    prover: &'a mut Prover,
    world: &'a World<'a>,
    candidates: &'a [Candidate],
}

impl Both<'_> {
    /// A request that one bundle grants and the other does not, or grants a shorter session.
    ///
    /// A session is as long as the longest of the matching permits allows. So for each length that a
    /// permit names, the permits of at least that length are compared.
    async fn beyond(
        &mut self,
        (one, permitting): (&Bundle, &Applicable),
        (other, refusing): (&Bundle, &Applicable),
    ) -> Result<Answer, String> {
        let permits =
            permitting.rules.iter().chain(&refusing.rules).filter(|rule| rule.is_permit());
        let lengths: BTreeSet<i64> = match self.world.action {
            Action::Vend => permits.map(|rule| rule.longest).collect(),
            Action::Approve => BTreeSet::from([0]),
        };
        let is_real = |witness: &crate::witness::Witness| {
            let granted = if other.has(self.world.profile) { witness.replay(other)? } else { None };
            Ok(witness.replay(one)? > granted)
        };
        let mut shorter = 0;
        for length in lengths {
            let longer = format!("context.duration > {shorter}");
            let question = Question {
                world: self.world,
                candidates: self.candidates,
                permitting: &permitting.set(length)?,
                refusing: &if other.has(self.world.profile) {
                    refusing.set(length)?
                } else {
                    PolicySet::new()
                },
                also: &longer,
                is_real: &is_real,
            };
            let answer = find(self.prover, question).await?;
            if answer != Answer::None {
                return Ok(answer);
            }
            shorter = length;
        }
        Ok(Answer::None)
    }
}
