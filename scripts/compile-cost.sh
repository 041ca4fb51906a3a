#!/usr/bin/env bash
# What the attribute costs at compile time: a service of 100 methods, 25 of each kind, built with and without it.
#
# The two are built in turns, a few times each, by `cargo build` with incremental compilation off and all dependencies built
# before; what counts is the median. The macro's own time is that of both its stages over the same service, in a release build of
# the macro outside the compiler: the median of 20 runs in one process.
#
#     scripts/compile-cost.sh [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-7}
most_ratio=1.15
most_expansion=50
root=$PWD
package=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/compile-cost
export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$package/target

# A service's trait as tonic generates it, and an impl of it with the attributes given.
service() {
    local attribute=$1 number
    printf 'use std::pin::Pin;\n\nuse tokio_stream::{Stream, StreamExt};\nuse tonic::{Request, Response, Status, Streaming};\n\n'
    printf 'type Lines = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;\n\n'
    printf '#[tonic::async_trait]\npub trait Service: Send + Sync + '"'"'static {\n'
    for number in $(seq 25); do
        cat <<METHODS
    type ServerStream${number}Stream: Stream<Item = Result<String, Status>> + Send + 'static;
    type Bidi${number}Stream: Stream<Item = Result<String, Status>> + Send + 'static;
    async fn unary$number(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn server_stream$number(&self, request: Request<String>) -> Result<Response<Self::ServerStream${number}Stream>, Status>;
    async fn client_stream$number(&self, request: Request<Streaming<String>>) -> Result<Response<String>, Status>;
    async fn bidi$number(&self, request: Request<Streaming<String>>) -> Result<Response<Self::Bidi${number}Stream>, Status>;
METHODS
    done
    printf '}\n\npub struct MyService(pub Vec<String>);\n\n%s\n#[tonic::async_trait]\nimpl Service for MyService {\n' "$attribute"
    for number in $(seq 25); do
        cat <<METHODS
    type ServerStream${number}Stream = Lines;
    type Bidi${number}Stream = Lines;

    async fn unary$number(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let name = request.into_inner();
        let Some(found) = self.0.iter().find(|line| line.starts_with(&name)) else {
            return Err(Status::not_found(format!("no line starts with {name}")));
        };
        Ok(Response::new(found.clone()))
    }

    async fn server_stream$number(&self, request: Request<String>) -> Result<Response<Self::ServerStream${number}Stream>, Status> {
        let name = request.into_inner();
        if name.is_empty() {
            return Err(Status::invalid_argument("no name"));
        }
        let found: Vec<_> = self.0.iter().filter(|line| line.starts_with(&name)).cloned().map(Ok).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(found))))
    }

    async fn client_stream$number(&self, request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
        let mut lines = request.into_inner();
        let mut longest = String::new();
        while let Some(line) = lines.message().await? {
            if line.len() > longest.len() {
                longest = line;
            }
        }
        Ok(Response::new(longest))
    }

    async fn bidi$number(&self, request: Request<Streaming<String>>) -> Result<Response<Self::Bidi${number}Stream>, Status> {
        let known = self.0.clone();
        let answers = request.into_inner().map(move |line| {
            let line = line?;
            match known.binary_search(&line) {
                Ok(at) => Ok(format!("{line} is number {at}")),
                Err(_) => Err(Status::not_found(line)),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
METHODS
    done
    # Used, so that it is compiled to the end.
    printf '}\n\npub fn service() -> Box<dyn std::any::Any> {\n    fn used<S: Service>(service: S) -> S {\n'
    for number in $(seq 25); do
        for method in unary server_stream client_stream bidi; do
            printf '        let _ = S::%s%s;\n' $method "$number"
        done
    done
    printf '        service\n    }\n    Box::new(used(MyService(Vec::new())))\n}\n'
}

write_package() {
    local name=$1 attribute=$2
    mkdir -p "$package/$name/src"
    service "$attribute" >"$package/$name/src/lib.rs"
    cat >"$package/$name/Cargo.toml" <<MANIFEST
[package]
name = "$name"
edition = "2024"

[dependencies]
otel-runtime = { path = "$root/otel-runtime" }
tokio-stream = "0.1"
tonic = { version = "0.14", default-features = false, features = ["server", "codegen"] }
MANIFEST
}

# The seconds that cargo takes for a package whose source has changed.
build() {
    touch "$package/$1/src/lib.rs"
    local start=$EPOCHREALTIME
    cargo build --quiet --manifest-path "$package/Cargo.toml" --package "$1"
    local end=$EPOCHREALTIME
    echo $(((${end/[.,]/} - ${start/[.,]/}) / 1000))
}

median() {
    sort -n | awk '{ all[NR] = $1 } END { print (NR % 2) ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'
}

write_package without ''
write_package with '#[otel_runtime::traced_service]'
printf '[workspace]\nresolver = "3"\nmembers = ["with", "without"]\n' >"$package/Cargo.toml"
cp Cargo.lock "$package/Cargo.lock"
cargo build --quiet --manifest-path "$package/Cargo.toml"

: >"$package/without.ms"
: >"$package/with.ms"
for _ in $(seq "$runs"); do
    build without >>"$package/without.ms"
    build with >>"$package/with.ms"
done
without=$(median <"$package/without.ms")
with=$(median <"$package/with.ms")

expansion=$(COMPILE_COST_SERVICE=$package/with/src/lib.rs CARGO_TARGET_DIR=$package/target \
    cargo test --quiet --locked --release --package otel-macros --lib -- --ignored --nocapture expansion_time |
    sed -n 's/^expansion: \([0-9.]*\) ms$/\1/p')

ratio=$(awk -v with="$with" -v without="$without" 'BEGIN { printf "%.3f", with / without }')
echo "without the attribute: $without ms, with it: $with ms (medians of $runs builds)"
echo "ratio: $ratio (at most $most_ratio)"
echo "expansion: $expansion ms (less than $most_expansion)"
awk -v ratio="$ratio" -v expansion="$expansion" -v most="$most_ratio" -v limit="$most_expansion" \
    'BEGIN { exit !(ratio <= most && expansion < limit) }'
