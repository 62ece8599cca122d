//! Questions to the solver.

use crate::bundle::Rule;
use crate::json;
use crate::world::AUXILIARY;
use cedar_policy::{EvalResult, PolicyId, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use policy::Action;
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

/// The schema that the function holds policies to.
const SCHEMA: &str = include_str!("../../../src/policy/schema.json");

/// The symbolic compiler, and a solver.
#[derive(Debug)]
pub(crate) struct Prover {
    compiler: CedarSymCompiler<LocalSolver>,
    schema: Schema,
}

/// A request that the solver found.
#[derive(Debug)]
pub(crate) struct Model(Env);

/// The solver's answer.
#[derive(Debug)]
pub(crate) enum Solved {
    /// It is proved that there is none.
    None,
    Found(Box<Model>),
    /// The solver gave up, or failed.
    Unknown(String),
}

impl Solved {
    fn of(result: Result<Option<Env>, Error>) -> Self {
        match result {
            Ok(None) => Self::None,
            Ok(Some(env)) => Self::Found(Box::new(Model(env))),
            Err(error) => Self::Unknown(chain(error)),
        }
    }
}

impl Prover {
    /// Starts the solver: `python` has cvc5's library.
    pub(crate) fn start(python: &Path) -> Result<Self, String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("solver.py");
        let solver =
            LocalSolver::from_command(Command::new(python).arg(program).kill_on_drop(true));
        let solver = solver.map_err(|error| format!("{}: {error}", python.display()))?;
        let compiler = CedarSymCompiler::new(solver).map_err(chain)?;
        Ok(Self { compiler, schema: schema()? })
    }

    /// A request that `permitting` permits and `refusing` does not, or the proof that there is none.
    pub(crate) async fn beyond(
        &mut self,
        action: Action,
        permitting: &PolicySet,
        refusing: &PolicySet,
    ) -> Result<Solved, String> {
        let env = request_env(action)?;
        let compile =
            |set| CompiledPolicySet::compile(set, &env, &self.schema).map_err(compilation);
        let (permitting, refusing) = (compile(permitting)?, compile(refusing)?);
        let model =
            self.compiler.check_implies_with_counterexample_opt(&permitting, &refusing).await;
        Ok(Solved::of(model))
    }

    /// A request for which a policy fails to evaluate, or the proof that there is none.
    pub(crate) async fn failure(
        &mut self,
        action: Action,
        policy: &Value,
    ) -> Result<Solved, String> {
        let env = request_env(action)?;
        let policy = parse("it", policy.clone())?;
        let compiled = CompiledPolicy::compile(&policy, &env, &self.schema).map_err(compilation)?;
        let model = self.compiler.check_never_errors_with_counterexample_opt(&compiled).await;
        Ok(Solved::of(model))
    }
}

impl Model {
    /// An attribute of the principal, or of the context by its path.
    pub(crate) fn value(&self, path: &[&str]) -> Option<Found> {
        let found = match path {
            ["principal", attribute] => {
                self.0.entities.get(self.0.request.principal()?)?.attr(attribute)?.ok()?
            }
            [first, rest @ ..] => {
                let mut found = self.0.request.context()?.get(first)?;
                for key in rest {
                    let EvalResult::Record(record) = found else { return None };
                    found = record.get(key)?.clone();
                }
                found
            }
            [] => return None,
        };
        match found {
            EvalResult::Bool(value) => Some(Found::Bool(value)),
            EvalResult::Long(value) => Some(Found::Long(value)),
            EvalResult::String(text) => Some(Found::Text(text)),
            EvalResult::ExtensionValue(text) => {
                Some(Found::Text(text.split('"').nth(1).unwrap_or_default().to_owned()))
            }
            EvalResult::Record(_) => Some(Found::Record),
            EvalResult::EntityUid(_) | EvalResult::Set(_) => None,
        }
    }

    pub(crate) fn text(&self, path: &[&str]) -> Option<String> {
        match self.value(path)? {
            Found::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn long(&self, path: &[&str]) -> Option<i64> {
        match self.value(path)? {
            Found::Long(value) => Some(value),
            _ => None,
        }
    }
}

/// A value in a model. Of an extension's value, the text in its quotes.
#[derive(Debug)]
pub(crate) enum Found {
    Bool(bool),
    Long(i64),
    Text(String),
    Record,
}

/// The function's schema, with the auxiliary attributes in each context.
fn schema() -> Result<Schema, String> {
    let mut schema: Value = serde_json::from_str(SCHEMA).map_err(|error| error.to_string())?;
    for action in [Action::Vend, Action::Approve] {
        let context = &mut schema["Sentinel"]["actions"][action.name()]["appliesTo"]["context"];
        for name in AUXILIARY {
            context["attributes"][name] = json!({"type": "EntityOrCommon", "name": "Long"});
        }
    }
    Schema::from_json_value(schema).map_err(|error| error.to_string())
}

fn request_env(action: Action) -> Result<RequestEnv, String> {
    let uid = format!("Sentinel::Action::\"{}\"", action.name());
    Ok(RequestEnv::new(
        "Sentinel::Caller".parse().map_err(chain)?,
        uid.parse().map_err(chain)?,
        "Sentinel::Profile".parse().map_err(chain)?,
    ))
}

fn parse(id: &str, policy: Value) -> Result<cedar_policy::Policy, String> {
    cedar_policy::Policy::from_json(Some(PolicyId::new(id)), policy)
        .map_err(|error| format!("{id}: {}", chain(error)))
}

/// A set of policies. Those whose permits limit sessions to less than `at_least` seconds are left out.
pub(crate) fn set(rules: &[Rule], at_least: i64) -> Result<PolicySet, String> {
    let mut set = PolicySet::new();
    for rule in rules.iter().filter(|rule| !rule.is_permit() || rule.longest >= at_least) {
        set.add(parse(&rule.id, rule.json.clone())?).map_err(chain)?;
    }
    Ok(set)
}

/// The set, and a `forbid` of every request that is not as `expression` says.
pub(crate) fn only_if(mut set: PolicySet, expressions: &[&str]) -> Result<PolicySet, String> {
    for expression in expressions {
        let text = format!("forbid (principal, action, resource) unless {{ {expression} }};");
        let id = PolicyId::new(format!("the world, {}", set.num_of_policies()));
        let policy = cedar_policy::Policy::parse(Some(id), text).map_err(chain)?;
        set.add(policy).map_err(chain)?;
    }
    Ok(set)
}

/// An expression as a `when` of Cedar's JSON.
pub(crate) fn when(expression: &str) -> Result<Value, String> {
    let text = format!("permit (principal, action, resource) when {{ {expression} }};");
    let policy = cedar_policy::Policy::parse(None, text).map_err(chain)?;
    let json = policy.to_json().map_err(chain)?;
    Ok(json["conditions"][0].clone())
}

/// A policy with `first` as conditions before its own.
pub(crate) fn guarded(policy: &Value, first: &[Value]) -> Value {
    let mut policy = policy.clone();
    json::guard(&mut policy, first);
    policy
}

/// An error of the compiler, with what the typechecker says.
fn compilation(error: Error) -> String {
    match &error {
        Error::PolicyNotWellTyped { errs } => {
            errs.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        _ => chain(error),
    }
}

/// An error and its causes.
pub(crate) fn chain(error: impl std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
