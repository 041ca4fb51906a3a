// A transparent gRPC proxy: it forwards the calls of all methods, with their metadata, messages,
// deadlines and cancellations.
//
// Usage: proxy LISTEN UPSTREAM
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (bytesCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = data
	return nil
}

func (bytesCodec) Name() string { return "proto" }

var bothWays = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

func forward(upstream *grpc.ClientConn, call grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(call)
	if strings.HasPrefix(method, "/unrouted.") {
		return status.Error(codes.Unimplemented, "no route")
	}
	// The context has the deadline, and ends when the caller cancels.
	ctx, cancel := context.WithCancel(call.Context())
	defer cancel()
	received, _ := metadata.FromIncomingContext(ctx)
	ctx = metadata.NewOutgoingContext(ctx, received)
	forwarded, err := upstream.NewStream(ctx, bothWays, method, grpc.ForceCodec(bytesCodec{}))
	if err != nil {
		return err
	}
	go func() {
		for {
			var message []byte
			err := call.RecvMsg(&message)
			if errors.Is(err, io.EOF) {
				forwarded.CloseSend()
				return
			}
			if err != nil || forwarded.SendMsg(&message) != nil {
				return
			}
		}
	}()
	if header, err := forwarded.Header(); err == nil {
		call.SendHeader(header)
	}
	for {
		var message []byte
		if err := forwarded.RecvMsg(&message); err != nil {
			call.SetTrailer(forwarded.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := call.SendMsg(&message); err != nil {
			return err
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	upstream, err := grpc.NewClient(os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	handler := func(_ any, call grpc.ServerStream) error { return forward(upstream, call) }
	server := grpc.NewServer(grpc.UnknownServiceHandler(handler), grpc.ForceServerCodec(bytesCodec{}))
	log.Fatal(server.Serve(listener))
}
