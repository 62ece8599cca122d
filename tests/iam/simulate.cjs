// Reads one simulation in JSON from each line, and writes its outcome in JSON to the line of the same number.
//
// An outcome has the decision, the statements that allow and deny (policy and Sid), and the context keys that the
// simulator ignored because the action does not know them.

const readline = require('node:readline')
const { runSimulation } = require('@cloud-copilot/iam-simulate')

function decisive(statements) {
  return (statements ?? []).map((analysis) => `${analysis.policyId ?? 'resource policy'}#${analysis.statement.sid() ?? ''}`)
}

function outcome(response) {
  if (response.resultType !== 'single') {
    return { error: response.errors ?? `a result of type ${response.resultType}` }
  }
  const { analysis, ignoredContextKeys } = response.result
  const parts = [
    analysis.identityAnalysis,
    analysis.resourceAnalysis,
    analysis.permissionBoundaryAnalysis,
    ...(analysis.scpAnalysis?.ouAnalysis ?? []),
    ...(analysis.rcpAnalysis?.ouAnalysis ?? []),
  ].filter(Boolean)
  return {
    decision: analysis.result,
    allows: parts.flatMap((part) => decisive(part.allowStatements)),
    denies: parts.flatMap((part) => decisive(part.denyStatements)),
    ignored: ignoredContextKeys ?? [],
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const response = await runSimulation(JSON.parse(line), {})
    process.stdout.write(`${JSON.stringify(outcome(response))}\n`)
  }
}

main()
