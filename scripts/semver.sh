#!/usr/bin/env bash
# What has changed in the interfaces of otel-runtime and otel-setup since an earlier version, and whether the version says so: before a release.
#
#     scripts/semver.sh v0.1.0
#
# The argument is anything that git knows. It documents both versions, which takes minutes, so CI does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_semver_checks_version=0.47.0
baseline=${1:?"which version to compare with: a tag, a branch or a commit"}

export PATH="$PWD/target/tools/bin:$PATH"
if [ "$(cargo semver-checks --version 2>/dev/null)" != "cargo-semver-checks $cargo_semver_checks_version" ]; then
    cargo install --locked --root target/tools "cargo-semver-checks@$cargo_semver_checks_version"
fi
# Its own way to an earlier version (`--baseline-rev`) leaves out links, and the README of a crate is one.
earlier=$(mktemp -d)
trap 'git worktree remove --force "$earlier"' EXIT
git worktree add --quiet --detach "$earlier" "$baseline"
# Of otel-macros nothing is for anybody but otel-runtime, of the same version.
cargo semver-checks --package otel-runtime --package otel-setup --baseline-root "$earlier" --all-features
