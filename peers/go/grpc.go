package main

import (
	"context"
	"errors"
	"io"
	"net"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	experimental "google.golang.org/grpc/experimental/opentelemetry"
	"google.golang.org/grpc/stats/opentelemetry"
	"google.golang.org/grpc/status"
)

func pluginOptions(telemetry *telemetry) opentelemetry.Options {
	return opentelemetry.Options{
		MetricsOptions: opentelemetry.MetricsOptions{MeterProvider: telemetry.meters},
		TraceOptions: experimental.TraceOptions{
			TracerProvider:    telemetry.tracers,
			TextMapPropagator: propagation.TraceContext{},
		},
	}
}

type grpcServer struct{ server *grpc.Server }

func newGRPCServer(telemetry *telemetry, instrumentation string) *grpcServer {
	instrument := grpc.StatsHandler(otelgrpc.NewServerHandler())
	if instrumentation == "plugin" {
		instrument = opentelemetry.ServerOption(pluginOptions(telemetry))
	}
	server := grpc.NewServer(instrument)
	stream := func(kind string, requests, replies bool, handler grpc.StreamHandler) {
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: "kinds." + kind,
			HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{
				{StreamName: "Call", ClientStreams: requests, ServerStreams: replies, Handler: handler},
			},
		}, nil)
	}
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "kinds.Unary",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Call", Handler: unary}},
	}, nil)
	stream("ServerStream", false, true, replyWithStream)
	stream("ClientStream", true, false, replyWithMessage)
	stream("Bidi", true, true, replyWithStream)
	return &grpcServer{server}
}

func (server *grpcServer) serve() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() { check(server.server.Serve(listener)) }()
	return listener.Addr().String()
}

func (server *grpcServer) shutdown() { server.server.GracefulStop() }

func unary(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(message)
	if err := decode(request); err != nil {
		return nil, err
	}
	reply, err := obey(ctx, request.Value)
	return &message{Value: reply}, asStatus(err)
}

func replyWithMessage(_ any, stream grpc.ServerStream) error {
	request := new(message)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	reply, err := obey(stream.Context(), request.Value)
	if err != nil {
		return asStatus(err)
	}
	return stream.SendMsg(&message{Value: reply})
}

func replyWithStream(_ any, stream grpc.ServerStream) error {
	request := new(message)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	return asStatus(obeyWithStream(stream.Context(), request.Value, func(reply string) error {
		return stream.SendMsg(&message{Value: reply})
	}))
}

func asStatus(err error) error {
	var failure failure
	switch {
	case errors.As(err, &failure):
		return status.Error(failure.code, failure.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	return err
}

type grpcClient struct{ connection *grpc.ClientConn }

func newGRPCClient(telemetry *telemetry, instrumentation, address string) *grpcClient {
	instrument := grpc.WithStatsHandler(otelgrpc.NewClientHandler())
	if instrumentation == "plugin" {
		instrument = opentelemetry.DialOption(pluginOptions(telemetry))
	}
	connection, err := grpc.NewClient(address, instrument, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	return &grpcClient{connection}
}

func (client *grpcClient) call(ctx context.Context, kind, method, text string, zipped bool) (int, codes.Code) {
	// Generated code passes it, so that the plugin records the name of the method.
	options := []grpc.CallOption{grpc.StaticMethod()}
	if zipped {
		options = append(options, grpc.UseCompressor(gzip.Name))
	}
	if kind == "Unary" {
		err := client.connection.Invoke(ctx, method, &message{Value: text}, new(message), options...)
		return replies(1, err)
	}
	stream, err := client.connection.NewStream(ctx, &grpc.StreamDesc{
		ServerStreams: kind != "ClientStream",
		ClientStreams: kind != "ServerStream",
	}, method, options...)
	if err != nil {
		return replies(0, err)
	}
	// If it fails, receiving tells why.
	_ = stream.SendMsg(&message{Value: text})
	_ = stream.CloseSend()
	for count := 0; ; count++ {
		if err := stream.RecvMsg(new(message)); errors.Is(err, io.EOF) {
			return count, codes.OK
		} else if err != nil {
			return replies(count, err)
		} else if kind == "ClientStream" {
			return 1, codes.OK
		}
	}
}

func replies(count int, err error) (int, codes.Code) {
	if err != nil && count == 1 {
		count = 0
	}
	return count, status.Code(err)
}
