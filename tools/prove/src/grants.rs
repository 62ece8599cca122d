//! What a bundle grants for one profile, compared with something else that permits or not.
//!
//! Invariant: the function refuses a request for which a policy fails, and Cedar alone skips that
//! policy. So the policies that can fail are found first, and a permit counts only where none of them
//! does.

use crate::bundle::{Bundle, Rule};
use crate::callers::Candidate;
use crate::json::{self, Mentions};
use crate::prover::{Model, Prover, Solved, guarded, only_if, set, when};
use crate::witness::Witness;
use crate::world::World;
use cedar_policy::PolicySet;
use policy::Action;

/// The answer to "is there a request such that …".
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// It is proved that there is none.
    None,
    /// This one, and the function does decide so.
    Witness(Witness),
    /// The solver found one, but none of the realistic requests is one.
    Unconfirmed(String),
    /// The solver did not answer.
    Undecided(String),
}

/// The policies of a bundle that can apply to an action on a profile.
#[derive(Debug, Default)]
pub(crate) struct Applicable {
    pub(crate) rules: Vec<Rule>,
    /// Those that can fail, and a request for which they do.
    pub(crate) failing: Vec<(String, Answer)>,
}

impl Applicable {
    /// `prefix` is put before the names of groups, so that the groups of two bundles differ.
    pub(crate) fn of(
        bundle: &Bundle,
        action: Action,
        profile: &str,
        prefix: &str,
    ) -> Result<Self, String> {
        let mut rules = bundle.rules(action, profile)?;
        for rule in &mut rules {
            json::rename_groups(&mut rule.json, prefix);
        }
        Ok(Self { rules, failing: Vec::new() })
    }

    pub(crate) fn read(&self, mentions: &mut Mentions) {
        self.rules.iter().for_each(|rule| mentions.read(&rule.json));
    }

    /// Finds the policies that can fail, and makes the permits count only where none does.
    pub(crate) async fn refuse_failures(
        &mut self,
        prover: &mut Prover,
        world: &World<'_>,
        candidates: &[Candidate],
        bundle: &Bundle,
    ) -> Result<(), String> {
        let facts = when(&world.facts())?;
        let mut failing = Vec::new();
        for rule in &self.rules {
            let answer = failure(prover, world, candidates, bundle, &facts, rule).await?;
            if answer != Answer::None {
                failing.push((rule.id.clone(), rule.json.clone(), answer));
            }
        }
        let always = when("context.duration >= 900")?["body"].clone();
        let guards: Vec<_> =
            failing.iter().map(|(_, policy, _)| json::does_not_fail(policy, &always)).collect();
        for rule in self.rules.iter_mut().filter(|rule| rule.is_permit()) {
            json::guard(&mut rule.json, &guards);
        }
        self.failing = failing.into_iter().map(|(id, _, answer)| (id, answer)).collect();
        Ok(())
    }

    /// The policies, less the permits of sessions shorter than `at_least` seconds.
    pub(crate) fn set(&self, at_least: i64) -> Result<PolicySet, String> {
        set(&self.rules, at_least)
    }
}

async fn failure(
    prover: &mut Prover,
    world: &World<'_>,
    candidates: &[Candidate],
    bundle: &Bundle,
    facts: &serde_json::Value,
    rule: &Rule,
) -> Result<Answer, String> {
    if !json::has_fallible_operation(&rule.json) {
        return Ok(Answer::None);
    }
    let policy = guarded(&rule.json, std::slice::from_ref(facts));
    let first = match prover.failure(world.action, &policy).await? {
        Solved::None => return Ok(Answer::None),
        Solved::Found(model) => model,
        Solved::Unknown(problem) => return Ok(Answer::Undecided(problem)),
    };
    for narrower in narrower(world, candidates) {
        let policy = guarded(&rule.json, &[facts.clone(), when(&narrower)?]);
        if let Solved::Found(model) = prover.failure(world.action, &policy).await?
            && let Some(witness) = Witness::of(&model, world.action, world.profile, candidates)
            && witness.replay(bundle)?.is_none()
        {
            return Ok(Answer::Witness(witness));
        }
    }
    Ok(Answer::Unconfirmed(sketch(&first)))
}

/// A question, and who decides whether an answer to it is real.
pub(crate) struct Question<'a> {
    pub(crate) world: &'a World<'a>,
    pub(crate) candidates: &'a [Candidate],
    /// What permits the request.
    pub(crate) permitting: &'a PolicySet,
    /// What does not.
    pub(crate) refusing: &'a PolicySet,
    /// What the request is like, besides.
    pub(crate) also: &'a str,
    /// Whether the function decides so.
    pub(crate) is_real: &'a dyn Fn(&Witness) -> Result<bool, String>,
}

/// A request that some policies permit and others do not.
pub(crate) async fn find(prover: &mut Prover, question: Question<'_>) -> Result<Answer, String> {
    let Question { world, candidates, permitting, refusing, also, is_real } = question;
    let facts = world.facts();
    let in_world = only_if(permitting.clone(), &[&facts, also])?;
    if let Solved::None = prover.beyond(world.action, &in_world, refusing).await? {
        return Ok(Answer::None);
    }
    for narrower in narrower(world, candidates) {
        let permitting = only_if(in_world.clone(), &[&narrower])?;
        if let Solved::Found(model) = prover.beyond(world.action, &permitting, refusing).await?
            && let Some(witness) = Witness::of(&model, world.action, world.profile, candidates)
            && is_real(&witness)?
        {
            return Ok(Answer::Witness(witness));
        }
    }
    let exactly = only_if(in_world, &[&world.exact()])?;
    Ok(match prover.beyond(world.action, &exactly, refusing).await? {
        Solved::None => Answer::None,
        Solved::Found(model) => Answer::Unconfirmed(sketch(&model)),
        Solved::Unknown(problem) => Answer::Undecided(problem),
    })
}

/// Whether policies may permit anything; `false` is proved.
pub(crate) async fn may_permit(
    prover: &mut Prover,
    world: &World<'_>,
    permitting: &PolicySet,
) -> Result<bool, String> {
    let permitting = only_if(permitting.clone(), &[&world.facts()])?;
    let answer = prover.beyond(world.action, &permitting, &PolicySet::new()).await?;
    Ok(!matches!(answer, Solved::None))
}

/// Smaller worlds to look for a witness in, the most realistic first.
fn narrower(world: &World<'_>, candidates: &[Candidate]) -> [String; 2] {
    let concrete = world.concrete(candidates);
    [format!("{concrete} && ({})", world.usual()), concrete]
}

/// The caller in a model.
fn sketch(model: &Model) -> String {
    let attribute = |name| {
        let text = model.text(&["principal", name])?;
        Some(format!("{name} = {text:?}"))
    };
    let known: Vec<String> = ["arn", "account", "name", "kind", "session_name", "org"]
        .into_iter()
        .filter_map(attribute)
        .collect();
    known.join(", ")
}
