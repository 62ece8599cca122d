//! Whether a bundle keeps its `[[invariant]]`s, and whether a policy of it can fail.

use crate::bundle::{Bundle, Rule};
use crate::callers;
use crate::grants::{Answer, Applicable, Question, find, may_permit};
use crate::json::Mentions;
use crate::prover::Prover;
use crate::world::World;
use cedar_policy::PolicySet;
use policy::{Action, Invariant};
use std::collections::{BTreeMap, BTreeSet};

/// The result of an invariant.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) profiles: Vec<(String, Answer)>,
    /// Whether there is anything at all that must be as it says.
    pub(crate) is_about_something: bool,
}

/// What is proved about a bundle.
#[derive(Debug)]
pub(crate) struct Proofs {
    pub(crate) invariants: Vec<Proof>,
    /// Each policy that can fail, with one request for which it does.
    pub(crate) failing: BTreeMap<String, Answer>,
    /// How many policies were looked at.
    pub(crate) rules: usize,
}

impl Proofs {
    pub(crate) async fn of(prover: &mut Prover, bundle: &Bundle) -> Result<Self, String> {
        let invariants = &bundle.expectations.invariants;
        let mut proofs: Vec<Proof> = invariants.iter().map(Proof::begun).collect();
        let (mut failing, mut rules) = (BTreeMap::new(), BTreeSet::new());
        for profile in bundle.catalogue.keys() {
            for action in [Action::Vend, Action::Approve] {
                let mut all = Applicable::of(bundle, action, profile, "")?;
                rules.extend(all.rules.iter().map(|rule| rule.id.clone()));
                let about: Vec<_> = invariants
                    .iter()
                    .map(|invariant| Subject::of(invariant, action, profile, bundle))
                    .collect::<Result<_, _>>()?;
                let mut mentions = Mentions::default();
                all.read(&mut mentions);
                about.iter().flatten().for_each(|subject| mentions.read(&subject.json));
                let world = World {
                    action,
                    profile,
                    longest: bundle.longest(profile),
                    partitions: bundle.partition(profile).into_iter().collect(),
                    groups: bundle.groups(profile).into_iter().collect(),
                    scopes: bundle.scopes(profile).into_iter().collect(),
                    mentions: &mentions,
                };
                let candidates = callers::candidates(&mentions, &world.partitions, &[bundle]);
                all.refuse_failures(prover, &world, &candidates, bundle).await?;
                let granted = all.set(0)?;
                let grants_something = all.rules.iter().any(Rule::is_permit)
                    && may_permit(prover, &world, &granted).await?;
                let is_real =
                    |witness: &crate::witness::Witness| Ok(witness.replay(bundle)?.is_some());
                for (subject, proof) in about.iter().zip(&mut proofs) {
                    let Some(subject) = subject else { continue };
                    let question = Question {
                        world: &world,
                        candidates: &candidates,
                        permitting: &granted,
                        refusing: &subject.required,
                        also: "true",
                        is_real: &is_real,
                    };
                    let answer = find(prover, question).await?;
                    proof.is_about_something |= grants_something;
                    proof.profiles.push((profile.clone(), answer));
                }
                for (rule, answer) in all.failing {
                    failing.entry(rule).or_insert(answer);
                }
            }
        }
        Ok(Self { invariants: proofs, failing, rules: rules.len() })
    }
}

impl Proof {
    fn begun(invariant: &Invariant) -> Self {
        Self {
            name: invariant.name.clone(),
            action: invariant.action,
            profiles: Vec::new(),
            // That nothing is granted is what it says.
            is_about_something: invariant.requires.trim() == "false",
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.profiles.iter().all(|(_, answer)| *answer == Answer::None)
    }
}

/// What an invariant requires of an action on a profile.
struct Subject {
    required: PolicySet,
    json: serde_json::Value,
}

impl Subject {
    /// `None` if it is not about them.
    fn of(
        invariant: &Invariant,
        action: Action,
        profile: &str,
        bundle: &Bundle,
    ) -> Result<Option<Self>, String> {
        if invariant.action != action || !invariant.concerns(profile, &bundle.groups(profile)) {
            return Ok(None);
        }
        let placed = |problem: String| format!("invariant {:?}: {problem}", invariant.name);
        let policy = cedar_policy::Policy::parse(None, invariant.policy())
            .map_err(|error| placed(crate::prover::chain(error)))?;
        let json = policy.to_json().map_err(|error| placed(crate::prover::chain(error)))?;
        let mut required = PolicySet::new();
        required.add(policy).map_err(|error| placed(crate::prover::chain(error)))?;
        Ok(Some(Self { required, json }))
    }
}
