//! Whatever goes wrong, in the service, on the wire, in what users give and in telemetry itself:
//! replies are as without this crate, and the books balance.
//!
//! `FAULTS_SEED=7` draws what goes wrong from another seed; a failure names its own. `cargo bench
//! -p integration-tests --bench soak` goes on for longer.

use integration_tests::counted::chosen;
use integration_tests::faults::{Books, Export, Measured, Recorded, Round, Traced, quiet};

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

/// While RPCs are under way. What is not shut down goes on as if nothing were.
fn when_shut_down(shut_down: impl Fn(&Books), check: impl Fn(&Books, &Recorded)) {
    quiet();
    for round in rounds(3) {
        let books = Books::default();
        let recorded = std::thread::scope(|scope| {
            let recorded = scope.spawn(|| round.recorded(&books));
            while books.spans() < CALLERS * RPCS / 4 && !recorded.is_finished() {
                std::thread::yield_now();
            }
            assert!(!recorded.is_finished(), "{round:?}: nothing is under way");
            shut_down(&books);
            recorded.join().unwrap()
        });
        check(&books, &recorded);
        assert_eq!(recorded.replies, round.unrecorded(), "{round:?}");
    }
}

#[test]
fn when_the_tracers_are_shut_down() {
    when_shut_down(Books::shut_down_tracers, |books, recorded| {
        books.measured().assert_balance(recorded, &Measured::default());
    });
}

#[test]
fn when_the_meters_are_shut_down() {
    when_shut_down(Books::shut_down_meters, |books, recorded| {
        books.traced().assert_balance(recorded, &Traced::default());
    });
}

#[test]
fn when_both_are_shut_down() {
    let both = |books: &Books| {
        books.shut_down_tracers();
        books.shut_down_meters();
    };
    when_shut_down(both, |_, _| {});
}
