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
# As in a package of its own: cargo's own profile, not the one that this repository builds its tests with.
export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$package/target CARGO_PROFILE_DEV_DEBUG=2

# The service in `service.proto`, which tonic generates code for as for anybody's.
proto() {
    printf 'syntax = "proto3";\n\npackage compile_cost;\n\nmessage Line { string text = 1; }\n\nservice Service {\n'
    for number in $(seq 25); do
        cat <<METHODS
  rpc Unary$number(Line) returns (Line);
  rpc ServerStream$number(Line) returns (stream Line);
  rpc ClientStream$number(stream Line) returns (Line);
  rpc Bidi$number(stream Line) returns (stream Line);
METHODS
    done
    printf '}\n'
}

# Its impl, with the attribute given, and its use, so that all of it is compiled to the end.
service() {
    local attribute=$1 number
    cat <<START
use std::pin::Pin;

use generated::service_server::{Service, ServiceServer};
use generated::Line;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

pub mod generated {
    tonic::include_proto!("compile_cost");
}

type Lines = Pin<Box<dyn Stream<Item = Result<Line, Status>> + Send>>;

pub struct MyService(pub Vec<String>);

pub fn routes() -> tonic::service::Routes {
    tonic::service::Routes::new(ServiceServer::new(MyService(Vec::new())))
}

$attribute
#[tonic::async_trait]
impl Service for MyService {
START
    for number in $(seq 25); do
        cat <<METHODS
    type ServerStream${number}Stream = Lines;
    type Bidi${number}Stream = Lines;

    async fn unary$number(&self, request: Request<Line>) -> Result<Response<Line>, Status> {
        let name = request.into_inner().text;
        let Some(found) = self.0.iter().find(|line| line.starts_with(&name)) else {
            return Err(Status::not_found(format!("no line starts with {name}")));
        };
        Ok(Response::new(Line { text: found.clone() }))
    }

    async fn server_stream$number(&self, request: Request<Line>) -> Result<Response<Self::ServerStream${number}Stream>, Status> {
        let name = request.into_inner().text;
        if name.is_empty() {
            return Err(Status::invalid_argument("no name"));
        }
        let found: Vec<_> = self.0.iter().filter(|line| line.starts_with(&name)).map(|line| Ok(Line { text: line.clone() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(found))))
    }

    async fn client_stream$number(&self, request: Request<Streaming<Line>>) -> Result<Response<Line>, Status> {
        let mut lines = request.into_inner();
        let mut longest = String::new();
        while let Some(line) = lines.message().await? {
            if line.text.len() > longest.len() {
                longest = line.text;
            }
        }
        Ok(Response::new(Line { text: longest }))
    }

    async fn bidi$number(&self, request: Request<Streaming<Line>>) -> Result<Response<Self::Bidi${number}Stream>, Status> {
        let known = self.0.clone();
        let answers = request.into_inner().map(move |line| {
            let line = line?.text;
            match known.binary_search(&line) {
                Ok(at) => Ok(Line { text: format!("{line} is number {at}") }),
                Err(_) => Err(Status::not_found(line)),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
METHODS
    done
    printf '}\n'
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
prost = "0.14"
tokio-stream = "0.1"
tonic = { version = "0.14", default-features = false, features = ["router", "codegen"] }
tonic-prost = "0.14"

[build-dependencies]
protox = "0.10"
tonic-prost-build = "0.14"
MANIFEST
    proto >"$package/$name/service.proto"
    cat >"$package/$name/build.rs" <<BUILD
fn main() {
    println!("cargo::rerun-if-changed=service.proto");
    let files = protox::compile(["service.proto"], ["."]).unwrap();
    tonic_prost_build::configure().build_client(false).compile_fds(files).unwrap();
}
BUILD
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
