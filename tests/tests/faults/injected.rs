//! Fault injection in handlers, on the wire, in user-provided functions and in telemetry itself.
//!
//! Replies must be those of an uninstrumented service, and each RPC must be recorded once.
//! `FAULTS_SEED=7` sets the seed of the random choices, and a failure prints its seed. The bench
//! `soak` runs the same rounds for longer.

use integration_tests::counted::number_from_env;
use integration_tests::faults::{Export, Measured, Recorded, Round, RoundTelemetry, Traced};
use integration_tests::panics::quiet;

const CALLERS: u64 = 8;
const RPCS: u64 = 50;

fn rounds(count: u64) -> impl Iterator<Item = Round> {
    let first = number_from_env("FAULTS_SEED", 1);
    (first..first + count).map(|seed| Round {
        seed,
        callers: CALLERS,
        rpcs: RPCS,
    })
}

/// In each round, the receiver misbehaves in another way. In the last one, it is down.
#[test]
fn all_faults_at_once() {
    quiet();
    let mut export = Export::default();
    let telemetry = RoundTelemetry::new(export.processor());
    let mut arrived = 0;
    for (number, round) in rounds(7).enumerate() {
        arrived += export.arrived();
        export.behave(round.seed);
        if number == 6 {
            export.go_down();
        }
        assert_eq!(round.run_checked(&telemetry), round.unrecorded(), "{round:?}");
    }
    assert!(arrived > 0);
}

/// Shuts providers down during a round, and checks that the others record all RPCs.
fn when_shut_down(shut_down: impl Fn(&RoundTelemetry), check: impl Fn(&RoundTelemetry, &Recorded)) {
    quiet();
    for round in rounds(3) {
        let telemetry = RoundTelemetry::default();
        let recorded = std::thread::scope(|scope| {
            let recorded = scope.spawn(|| round.recorded(&telemetry));
            while telemetry.spans() < CALLERS * RPCS / 4 && !recorded.is_finished() {
                std::thread::yield_now();
            }
            assert!(!recorded.is_finished(), "{round:?}: nothing is under way");
            shut_down(&telemetry);
            recorded.join().unwrap()
        });
        check(&telemetry, &recorded);
        assert_eq!(recorded.replies, round.unrecorded(), "{round:?}");
    }
}

#[test]
fn tracer_provider_is_shut_down() {
    when_shut_down(RoundTelemetry::shut_down_tracers, |telemetry, recorded| {
        telemetry.measured().assert_balance(recorded, &Measured::default());
    });
}

#[test]
fn meter_provider_is_shut_down() {
    when_shut_down(RoundTelemetry::shut_down_meters, |telemetry, recorded| {
        telemetry.traced().assert_balance(recorded, &Traced::default());
    });
}

#[test]
fn both_providers_are_shut_down() {
    let both = |telemetry: &RoundTelemetry| {
        telemetry.shut_down_tracers();
        telemetry.shut_down_meters();
    };
    when_shut_down(both, |_, _| {});
}
