//! The results as text, and as JSON for pipelines.

use crate::catalogue::Difference;
use crate::diff::{Comparison, OfProfile};
use crate::grants::Answer;
use crate::invariants::Proofs;
use crate::world::ASSUMPTIONS;
use policy::Action;
use serde_json::{Value, json};

pub(crate) fn comparison_json(comparison: &Comparison) -> Value {
    let profile = |of: &OfProfile| {
        json!({
            "profile": of.profile,
            "action": of.action.name(),
            "newly_granted": answer_json(&of.newly_granted),
            "newly_refused": answer_json(&of.newly_refused),
            "can_fail": failing_json(of.failing.iter().map(|(rule, answer)| (rule, answer))),
        })
    };
    let difference = |difference: &Difference| {
        json!({
            "profile": difference.profile,
            "key": difference.key,
            "old": difference.old.as_ref().map(ToString::to_string),
            "new": difference.new.as_ref().map(ToString::to_string),
            "effect": difference.effect.name(),
        })
    };
    json!({
        "newly_grants": comparison.widens(),
        "decisions": comparison.profiles.iter().map(profile).collect::<Vec<_>>(),
        "catalogue": comparison.catalogue.iter().map(difference).collect::<Vec<_>>(),
        "assumptions": ASSUMPTIONS,
    })
}

fn answer_json(answer: &Answer) -> Value {
    match answer {
        Answer::None => json!({"proved": "nothing"}),
        Answer::Witness(witness) => json!({"witness": witness.json()}),
        Answer::Unconfirmed(caller) => json!({"unconfirmed": caller}),
        Answer::Undecided(problem) => json!({"undecided": problem}),
    }
}

fn failing_json<'a>(failing: impl Iterator<Item = (&'a String, &'a Answer)>) -> Value {
    failing.map(|(rule, answer)| (rule.clone(), answer_json(answer))).collect()
}

pub(crate) fn comparison_text(comparison: &Comparison) -> String {
    let mut text = String::new();
    let unchanged =
        |of: &&OfProfile| of.newly_granted == Answer::None && of.newly_refused == Answer::None;
    for of in comparison.profiles.iter().filter(|of| !unchanged(of)) {
        text.extend([subject(&of.profile, of.action), "\n".to_owned()]);
        text.push_str(&change("newly grants", &of.newly_granted));
        text.push_str(&change("newly refuses", &of.newly_refused));
    }
    let same = comparison.profiles.iter().filter(unchanged).count();
    text.extend([format!(
        "proved the same: {same} of {} (credentials and approvals of each profile)\n",
        comparison.profiles.len()
    )]);
    for Difference { profile, key, old, new, effect } in &comparison.catalogue {
        let shown = |value: &Option<toml::Value>| {
            value.as_ref().map_or("nothing".to_owned(), ToString::to_string)
        };
        text.extend([format!(
            "catalogue: {profile}: {key}: {} becomes {} ({})\n",
            shown(old),
            shown(new),
            effect.name()
        )]);
    }
    for of in &comparison.profiles {
        for (rule, answer) in &of.failing {
            text.push_str(&failing(rule, answer));
        }
    }
    text + &assumptions()
}

fn subject(profile: &str, action: Action) -> String {
    match action {
        Action::Vend => format!("credentials of {profile:?}:"),
        Action::Approve => format!("approving requests for {profile:?}:"),
    }
}

fn change(verb: &str, answer: &Answer) -> String {
    match answer {
        Answer::None => format!("  {verb} nothing (proved)\n"),
        Answer::Witness(witness) => {
            format!("  {verb}, for example (replayed):\n{}", indented(&witness.to_string()))
        }
        Answer::Unconfirmed(caller) => format!(
            "  may: {verb} (not excluded, but no realistic request shows it; the solver's caller: {caller})\n"
        ),
        Answer::Undecided(problem) => format!("  {verb}: not decided: {problem}\n"),
    }
}

fn failing(rule: &str, answer: &Answer) -> String {
    let shown = match answer {
        Answer::Witness(witness) => format!(", for example:\n{}", indented(&witness.to_string())),
        Answer::Unconfirmed(_) | Answer::None => ", but no realistic request shows it\n".to_owned(),
        Answer::Undecided(problem) => format!(": not decided: {problem}\n"),
    };
    format!("warning: the policy {rule:?} can fail, and then the request is refused{shown}")
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}

fn assumptions() -> String {
    let lines: String = ASSUMPTIONS.iter().flat_map(|line| ["  - ", line, "\n"]).collect();
    format!("assumed:\n{lines}")
}

pub(crate) fn proofs_text(proofs: &Proofs) -> String {
    let mut text = String::new();
    for proof in &proofs.invariants {
        let refuted = |(_, answer): &(String, Answer)| matches!(answer, Answer::Witness(_));
        let mark = match proof.holds() {
            true => "proved",
            false if proof.profiles.iter().any(refuted) => "REFUTED",
            false => "NOT PROVED",
        };
        text.extend([format!("  {mark}  {}\n", proof.name)]);
        if !proof.is_about_something {
            text.push_str("    warning: nothing is granted there, so there is nothing to hold\n");
        }
        for (profile, answer) in proof.profiles.iter().filter(|(_, answer)| *answer != Answer::None)
        {
            text.extend([format!("    {}\n", subject(profile, proof.action))]);
            text.push_str(&indented(&change("grants what the invariant excludes", answer)));
        }
    }
    for (rule, answer) in &proofs.failing {
        text.push_str(&failing(rule, answer));
    }
    let safe = proofs.rules - proofs.failing.len();
    text + &format!("  proved  {safe} of {} policies never fail\n", proofs.rules) + &assumptions()
}

pub(crate) fn proofs_json(proofs: &Proofs) -> Value {
    let invariants: Vec<Value> = proofs
        .invariants
        .iter()
        .map(|proof| {
            let profiles = proof.profiles.iter();
            json!({
                "name": proof.name,
                "holds": proof.holds(),
                "is_about_something": proof.is_about_something,
                "profiles": profiles
                    .map(|(profile, answer)| (profile.clone(), answer_json(answer)))
                    .collect::<serde_json::Map<_, _>>(),
            })
        })
        .collect();
    json!({
        "invariants": invariants,
        "policies": proofs.rules,
        "can_fail": failing_json(proofs.failing.iter()),
        "assumptions": ASSUMPTIONS,
    })
}
