// A gRPC client and a gRPC server for the matrix of peers, with an instrumentation of choice.
//
// Usage: `peer INSTRUMENTATION server` or `peer INSTRUMENTATION client ADDRESS`, where the
// instrumentation is `otelgrpc`, `plugin` or `otelconnect`. peers/README.md has the protocol on
// standard input and output.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// message has the wire format of `kinds.Message`: a string in field 1.
type message = wrapperspb.StringValue

// largeMessage is longer than the limit of 4 MiB that most implementations have.
var largeMessage = strings.Repeat("x", 5<<20)

// client makes calls with one message, and reads the replies.
type client interface {
	call(ctx context.Context, kind, method, text string, gzip bool) (replies int, code codes.Code)
}

// server serves until shutdown, which lets calls in flight end.
type server interface {
	serve() (address string)
	shutdown()
}

func main() {
	instrumentation, role := os.Args[1], os.Args[2]
	telemetry := startTelemetry()
	if role == "server" {
		var service server
		if instrumentation == "otelconnect" {
			service = &connectServer{}
		} else {
			service = newGRPCServer(telemetry, instrumentation)
		}
		runServer(service, telemetry)
	} else {
		var caller client
		if instrumentation == "otelconnect" {
			caller = newConnectClient(os.Args[3])
		} else {
			caller = newGRPCClient(telemetry, instrumentation, os.Args[3])
		}
		runClient(caller, telemetry)
	}
	telemetry.shutdown()
}

var output sync.Mutex

// answer prints a line for the test to read.
func answer(format string, arguments ...any) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf("> "+format+"\n", arguments...)
}

func runServer(service server, telemetry *telemetry) {
	answer("%s", service.serve())
	stopped := make(chan struct{})
	stop := sync.OnceFunc(func() {
		go func() {
			service.shutdown()
			close(stopped)
		}()
	})
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		switch input.Text() {
		case "release":
			releaseOne <- struct{}{}
		case "goaway":
			stop()
			answer("going")
		case "flush":
			telemetry.flush()
			answer("flushed")
		}
	}
	stop()
	<-stopped
}

func runClient(caller client, telemetry *telemetry) {
	var calls sync.WaitGroup
	all, cancelAll := context.WithCancel(context.Background())
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		switch line := input.Text(); line {
		case "cancel":
			cancelAll()
			calls.Wait()
			all, cancelAll = context.WithCancel(context.Background())
		case "flush":
			telemetry.flush()
			answer("flushed")
		default:
			calls.Go(func() { runCall(all, caller, line) })
		}
	}
	calls.Wait()
	cancelAll()
}

// runCall makes the call of a line `KIND|TEXT|SECONDS|OPTION`, and prints its end.
func runCall(ctx context.Context, caller client, line string) {
	fields := strings.Split(line, "|")
	kind, text, option := fields[0], fields[1], fields[3]
	if fields[2] != "" {
		seconds, _ := strconv.ParseFloat(fields[2], 64)
		timed, cancel := context.WithTimeout(ctx, time.Duration(seconds*float64(time.Second)))
		defer cancel()
		ctx = timed
	}
	method := "/kinds." + kind + "/Call"
	if option == "unknown" {
		method = "/kinds." + kind + "/Unknown"
	}
	if text == "large-request" {
		text = largeMessage
	}
	replies, code := caller.call(ctx, kind, method, text, option == "gzip")
	answer("ended %s %s %d", kind, codeName(code), replies)
}

// codeName returns the name of a code in the specification of gRPC.
func codeName(code codes.Code) string {
	names := strings.Fields(`OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND
		ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED
		OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED`)
	return names[code]
}

var releaseOne = make(chan struct{}, 100)

// failure is the status that a message asks for.
type failure struct{ code codes.Code }

func (failure failure) Error() string { return fmt.Sprintf("as asked: %d", failure.code) }

// obey does as the text of a message says, and returns the text of the reply.
func obey(ctx context.Context, text string) (string, error) {
	switch text {
	case "wait":
		answer("waits")
		select {
		case <-releaseOne:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	case "panic":
		panic("as asked")
	case "large":
		return largeMessage, nil
	default:
		if code, err := strconv.Atoi(text); err == nil {
			return "", failure{codes.Code(code)}
		}
	}
	return text, nil
}

// obeyWithStream does as [obey], after a first message if the text begins with `later`.
func obeyWithStream(ctx context.Context, text string, send func(string) error) error {
	if later, ok := strings.CutPrefix(text, "later "); ok {
		if err := send("first"); err != nil {
			return err
		}
		text = later
	}
	reply, err := obey(ctx, text)
	if err != nil {
		return err
	}
	return send(reply)
}
