//! Whatever goes wrong, in the service, on the wire, in what users give and in telemetry itself: replies are as without this crate, and the books balance.
//!
//! `FAULTS_SEED=7` draws what goes wrong from another seed; a failure names its own. `cargo bench -p tests --bench soak` goes on for longer.

use tests::counted::{Counted, chosen};
use tests::faults::{Books, Export, Round, quiet};

const CALLERS: u64 = 8;
const RPCS: u64 = 50;

fn rounds(count: u64) -> impl Iterator<Item = Round> {
    let first = chosen("FAULTS_SEED", 1);
    (first..first + count).map(|seed| Round {
        seed,
        callers: CALLERS,
        rpcs: RPCS,
    })
}

/// In each round the collector does something else, and in the last one it is down.
#[test]
fn all_at_once() {
    quiet();
    let mut export = Export::default();
    let books = Books::new(export.processor());
    let mut arrived = 0;
    for (number, round) in rounds(7).enumerate() {
        arrived += export.arrived();
        export.behave(round.seed);
        if number == 6 {
            export.go_down();
        }
        assert_eq!(round.balanced(&books), round.unrecorded(), "{round:?}");
    }
    assert!(arrived > 0);
}

/// Both, while RPCs are under way.
#[test]
fn when_the_providers_are_shut_down() {
    quiet();
    for round in rounds(3) {
        let counted = Counted::default();
        let instrumentation = counted.instrumentation.clone();
        let recorded = std::thread::spawn(move || round.recorded(&instrumentation));
        while counted.spans.ended() < CALLERS * RPCS / 4 && !recorded.is_finished() {
            std::thread::yield_now();
        }
        counted.tracers.shutdown().unwrap();
        counted.meters.shutdown().unwrap();
        assert_eq!(recorded.join().unwrap(), round.unrecorded(), "{round:?}");
    }
}
