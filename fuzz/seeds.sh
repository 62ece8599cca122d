#!/usr/bin/env bash
# Writes the fuzzer's first inputs into the directory $1, mostly from files of the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p "$1"/{event,arn,profiles,session_policy}

cp tests/events/*.json fuzz/events/*.json "$1/event/"
for event in tests/events/*.json; do
    sed -n 's/.*"userArn": "\(.*\)".*/\1/p' "$event" | tr -d '\n' > "$1/arn/$(basename "$event" .json)"
done
printf 'AWSReservedSSO_*,Okta-*-People\narn:aws:sts::123456789012:assumed-role/Okta-Dev-People/alice' > "$1/arn/named"

for bundle in policy tests/api/bundle fuzz/bundle; do
    { cat "$bundle/profiles.toml"; echo ---; cat "$bundle"/*.cedar; } > "$1/profiles/${bundle//\//-}"
done
