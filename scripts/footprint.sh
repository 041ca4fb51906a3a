#!/usr/bin/env bash
# What a tonic service with OpenTelemetry's SDK gets in addition: packages, and the time that a clean release build takes, by otel-runtime and by the others.
#
# A package is written for each, into the target directory; it depends on what is compared, sets it up, and has one service. Each is built
# from nothing in a target directory of its own, in turns; what counts is the median. Its "CPU" is the compiler's time on all cores, which hardly depends on
# what else the machine does. One build is about a minute; there are ten in a round.
#
# It leaves footprint.txt, footprint.json, and footprint.md, which is what docs/scale.md shows.
#
#     scripts/footprint.sh [ROUNDS] [NAME…]
#
# Three rounds, of all. With 0 it only counts packages; the names are those in its table, for a trial of some.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-3}
chosen=("${@:2}")
root=$PWD
directory=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/footprint
export CARGO_INCREMENTAL=0
mkdir -p "$directory"

# The version of a peer that the benchmark has.
version() {
    sed -n "s/^$1 = .*version = \"\([0-9.]*\)\".*/\1/p; s/^$1 = \"\([0-9.]*\)\"$/\1/p" benches/Cargo.toml
}

peer() {
    local found
    found=$(version "$1")
    [ -n "$found" ] || {
        echo "benches/Cargo.toml has no $1" >&2
        exit 1
    }
    printf '%s = "=%s"\n' "$1" "$found"
}

# Where a peer makes spans of `tracing`, what makes OpenTelemetry's of them.
bridge='tracing = "0.1"
tracing-opentelemetry = "0.34"
tracing-subscriber = { version = "0.3", default-features = false, features = ["registry", "std"] }'
bridged='use tracing_subscriber::layer::SubscriberExt as _;
    let bridge = tracing_opentelemetry::layer().with_tracer(opentelemetry::global::tracer("greeter"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(bridge)).unwrap();'

names=()
# NAME, its dependencies, the attribute of the service, statements of main.
package() {
    local name=$1 dependencies=$2 attribute=$3 statements=$4
    names+=("$name")
    mkdir -p "$directory/$name/src"
    cat >"$directory/$name/Cargo.toml" <<MANIFEST
[package]
name = "with-$name"
version = "0.0.0"
edition = "2024"

[dependencies]
opentelemetry = "0.33"
opentelemetry_sdk = "0.33"
prost = "0.14"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
tonic = "0.14"
tonic-prost = "0.14"
$dependencies
MANIFEST
    cat >"$directory/$name/src/main.rs" <<MAIN
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use tonic::{Request, Response, Status, service::Routes, transport::Server};

#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(string, tag = "1")]
    text: String,
}

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<Line>) -> Result<Response<Line>, Status>;
}

struct MyGreeter;

$attribute
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<Line>) -> Result<Response<Line>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::main]
async fn main() {
    opentelemetry::global::set_tracer_provider(SdkTracerProvider::builder().build());
    opentelemetry::global::set_meter_provider(SdkMeterProvider::builder().build());
    $statements
    MyGreeter.say_hello(Request::new(Line::default())).await.unwrap();
    Server::builder().add_routes(Routes::default()).serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
}
MAIN
}

traced='#[otel_runtime::traced_service]'
package baseline '' '' ''
package otel-runtime "otel-runtime = { path = \"$root/otel-runtime\" }" "$traced" ''
package otel-setup "otel-runtime = { path = \"$root/otel-runtime\" }
otel-setup = { path = \"$root/otel-setup\" }" "$traced" \
    'let _telemetry = otel_setup::init().unwrap();'
# What otel-setup sets up, by hand.
package otlp-by-hand 'opentelemetry-appender-tracing = "0.33"
opentelemetry-otlp = { version = "0.33", default-features = false, features = ["grpc-tonic", "logs", "metrics", "trace"] }
tracing = "0.1"
tracing-opentelemetry = "0.34"
tracing-subscriber = { version = "0.3", features = ["env-filter"] }' '' \
    'let _exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build().unwrap();'
package opentelemetry-instrumentation-tower "$(peer opentelemetry-instrumentation-tower)" '' \
    'let _layer = opentelemetry_instrumentation_tower::http::server::LayerBuilder::builder().build().unwrap();'
package tower-otel "$(peer tower-otel)
$bridge" '' "$bridged
    let _layer = tower_otel::trace::GrpcLayer::server(tracing::Level::INFO);"
package tower-http-opentelemetry "$(peer tower-http-opentelemetry)
$bridge" '' "$bridged
    let _layer = tower_http_opentelemetry::http::server::HttpServerTelemetryLayer::new();"
package tonic-tracing-opentelemetry "$(peer tonic-tracing-opentelemetry)
$bridge" '' "$bridged
    let _layer = tonic_tracing_opentelemetry::middleware::server::OtelGrpcLayer::default();"
package tonic-otel-layer "$(peer tonic-otel-layer)" '' 'let _layer = tonic_otel_layer::MetricsLayerBuilder::new().build();'
package fastrace-tonic "$(peer fastrace-tonic)
fastrace = { version = \"$(version fastrace)\", features = [\"enable\"] }" '' 'let _layer = fastrace_tonic::FastraceServerLayer::default();'

{
    printf '[workspace]\nresolver = "3"\nmembers = ['
    printf '"%s", ' "${names[@]}"
    printf ']\n'
} >"$directory/Cargo.toml"
# The versions are those of the benchmark, as far as it has them.
cp benches/Cargo.lock "$directory/Cargo.lock"
cargo metadata --format-version 1 --manifest-path "$directory/Cargo.toml" >/dev/null
cargo fetch --quiet --locked --manifest-path "$directory/Cargo.toml"

packages() {
    cargo tree --locked --manifest-path "$directory/Cargo.toml" --package "with-$1" --edges normal --prefix none --format '{p}' |
        sed 's/ (.*//' | grep --invert-match '^with-' | LC_ALL=C sort --unique
}

# Seconds by the clock, and of the processor.
build() {
    local times
    TIMEFORMAT='%R %U %S'
    times=$({ time CARGO_TARGET_DIR=$directory/target cargo build --quiet --release --locked --manifest-path "$directory/Cargo.toml" --package "with-$1" 2>"$directory/$1.log"; } 2>&1) || {
        cat "$directory/$1.log" >&2
        return 1
    }
    rm -rf "$directory/target"
    awk '{ print $1, $2 + $3 }' <<<"$times" >>"$directory/$1.times"
}

# The baseline is always among them.
if [ ${#chosen[@]} -gt 0 ]; then
    names=(baseline "${chosen[@]}")
fi

rm -rf "$directory/target" "$directory"/*.times
for round in $(seq "$rounds"); do
    for name in "${names[@]}"; do
        echo "round $round: $name" >&2
        build "$name"
    done
done

median() {
    cut --delimiter=' ' --fields="$1" "$directory/$2.times" 2>/dev/null | sort --numeric-sort |
        awk '{ all[NR] = $1 } END { print NR ? ((NR % 2) ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2) : 0 }'
}

title() {
    case $1 in
    baseline) echo 'tonic, OpenTelemetry, its SDK' ;;
    otel-runtime) echo '**otel-runtime**' ;;
    otel-setup) echo '**otel-runtime**, **otel-setup**' ;;
    otlp-by-hand) echo 'no RPC traced: `opentelemetry-otlp` and what makes its spans and logs of `tracing`' ;;
    *) echo "$1 $(version "$1")" ;;
    esac
}

packages baseline >"$directory/baseline.packages"
first=
{
    printf '[\n'
    for name in "${names[@]}"; do
        packages "$name" >"$directory/$name.packages"
        added=$(LC_ALL=C comm -13 "$directory/baseline.packages" "$directory/$name.packages" | wc --lines)
        [ "$name" = baseline ] && added=$(wc --lines <"$directory/baseline.packages")
        printf '%s  {"name": "%s", "packages": %s, "seconds": %s, "cpu_seconds": %s}' "$first" "$name" "$added" "$(median 1 "$name")" "$(median 2 "$name")"
        first=$',\n'
    done
    printf '\n]\n'
} >"$directory/footprint.json"

# Beside the lines of JSON, which have one shape each, their tables.
rows() {
    sed -n 's/.*"name": "\([^"]*\)", "packages": \([0-9]*\), "seconds": \([0-9.]*\), "cpu_seconds": \([0-9.]*\)}.*/\1 \2 \3 \4/p' "$directory/footprint.json"
}
ratio() {
    awk -v of="$1" -v to="$2" 'BEGIN { if (to > 0) printf "%.2f", of / to; else printf "-" }'
}
read -r _ _ base_seconds base_cpu < <(rows)
{
    printf '| | packages | clean release build | its CPU time |\n|---|---|---|---|\n'
    rows | while read -r name packages seconds cpu; do
        if [ "$name" = baseline ]; then
            printf '| %s | %s | %.0f s | %.0f s |\n' "$(title "$name")" "$packages" "$seconds" "$cpu"
        else
            printf '| %s | +%s | × %s | × %s |\n' "$(title "$name")" "$packages" "$(ratio "$seconds" "$base_seconds")" "$(ratio "$cpu" "$base_cpu")"
        fi
    done
} >"$directory/footprint.md"
{
    printf '%-36s %8s %8s %6s %8s %6s\n' '' packages seconds ratio CPU ratio
    rows | while read -r name packages seconds cpu; do
        printf '%-36s %8s %8.1f %6s %8.1f %6s\n' "$name" "$packages" "$seconds" "$(ratio "$seconds" "$base_seconds")" "$cpu" "$(ratio "$cpu" "$base_cpu")"
    done
} >"$directory/footprint.txt"

cat "$directory/footprint.txt"
echo
cat "$directory/footprint.md"
echo
echo "$directory/footprint.txt, $directory/footprint.json, $directory/footprint.md"
