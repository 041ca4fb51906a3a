//! The programs that show what a layer can do beside its span and its metrics.

use integration_tests::child;

/// The lines, without the numbers that differ from run to run.
#[test]
fn options_of_a_layer_are_seen() {
    let ended = child::run(env!("CARGO_BIN_EXE_layer_options"), &[], []);
    assert!(ended.success, "{ended:?}");
    let text = &ended.stdout;
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let method = "helloworld.Greeter/SayHello";
    for expected in [
        // The method, its code and error type, the tenant, and the number of calls.
        format!("{method} OK acme 1 "),
        format!("{method} RESOURCE_EXHAUSTED RESOURCE_EXHAUSTED blue 1 "),
        format!("{method} INVALID_ARGUMENT _OTHER 1 "),
        // The numbers of started calls and received messages, and of sent messages.
        format!("{method} 3"),
        format!("{method} 1"),
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(&expected)),
            "{expected}: {text}"
        );
    }
    for (level, code) in [
        ("INFO", "OK"),
        ("ERROR", "RESOURCE_EXHAUSTED"),
        ("INFO", "INVALID_ARGUMENT"),
    ] {
        let call = format!(
            " {method}: otel_runtime::calls: incoming call rpc.method=\"{method}\" rpc.status_code=\"{code}\" "
        );
        let logged: Vec<_> = lines.iter().filter(|line| line.contains(&call)).collect();
        assert!(
            matches!(&logged[..], [line] if line.contains(&format!(" {level} "))),
            "{code}: {text}"
        );
    }
}

/// The lines between the time and the times of a closed span, which differ from run to run.
#[test]
fn lines_of_a_subscriber_of_ones_own_have_the_method() {
    let ended = child::run(env!("CARGO_BIN_EXE_own_subscriber"), &[], []);
    assert!(ended.success, "{ended:?}");
    let (lines, traces) = ended.stdout.split_once("trace 1 ").unwrap();
    let levels = ["DEBUG ", " INFO "];
    let mut lines: Vec<_> = lines
        .lines()
        .filter_map(|line| line.split_once(levels.iter().find(|level| line.contains(**level))?))
        .map(|(_, line)| line.split(" time.busy=").next().unwrap())
        .collect();
    let method = "rpc.method=\"helloworld.Greeter/SayHello\"";
    let in_rpc = |rest: &str| format!("rpc{{{method}}}:{rest}");
    let closed = |code| format!("rpc{{{method} rpc.status_code=\"{code}\"}}: otel_runtime::rpc: close");
    let mut expected = [
        in_rpc(" own_subscriber: greeting name=\"Ada\""),
        in_rpc("compose: own_subscriber: composing"),
        in_rpc("compose: own_subscriber: close"),
        closed("OK"),
        in_rpc(" own_subscriber: greeting name=\"\""),
        closed("INVALID_ARGUMENT"),
    ];
    // An RPC may close on another thread, when the next one has begun.
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected, "{}", ended.stdout);
    // The spans: one for each RPC, and one in the first.
    let spans = |name| {
        traces
            .lines()
            .filter(move |line| line.split_whitespace().any(|word| word == name))
    };
    assert_eq!(spans("helloworld.Greeter/SayHello").count(), 2, "{traces}");
    assert_eq!(spans("compose").count(), 1, "{traces}");
    assert_eq!(spans("rpc").count(), 0, "{traces}");
}
