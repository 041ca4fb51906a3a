package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

func connectInterceptor() connect.Interceptor {
	interceptor, err := otelconnect.NewInterceptor()
	check(err)
	return interceptor
}

type connectServer struct{ server *http.Server }

func (server *connectServer) serve() string {
	options := connect.WithHandlerOptions(
		connect.WithInterceptors(connectInterceptor()),
		connect.WithReadMaxBytes(4<<20),
	)
	routes := http.NewServeMux()
	add := func(kind string, handler http.Handler) { routes.Handle("/kinds."+kind+"/Call", handler) }
	add("Unary", connect.NewUnaryHandler("/kinds.Unary/Call", connectUnary, options))
	add("ServerStream", connect.NewServerStreamHandler("/kinds.ServerStream/Call", connectServerStream, options))
	add("ClientStream", connect.NewClientStreamHandler("/kinds.ClientStream/Call", connectClientStream, options))
	add("Bidi", connect.NewBidiStreamHandler("/kinds.Bidi/Call", connectBidi, options))
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server.server = &http.Server{Handler: routes, Protocols: &protocols}
	go func() { _ = server.server.Serve(listener) }()
	return listener.Addr().String()
}

func (server *connectServer) shutdown() { check(server.server.Shutdown(context.Background())) }

func connectUnary(ctx context.Context, request *connect.Request[message]) (*connect.Response[message], error) {
	reply, err := obey(ctx, request.Msg.Value)
	if err != nil {
		return nil, asConnectError(err)
	}
	return connect.NewResponse(&message{Value: reply}), nil
}

func connectServerStream(ctx context.Context, request *connect.Request[message], stream *connect.ServerStream[message]) error {
	return asConnectError(obeyWithStream(ctx, request.Msg.Value, func(reply string) error {
		return stream.Send(&message{Value: reply})
	}))
}

func connectClientStream(ctx context.Context, stream *connect.ClientStream[message]) (*connect.Response[message], error) {
	if !stream.Receive() {
		return nil, stream.Err()
	}
	reply, err := obey(ctx, stream.Msg().Value)
	if err != nil {
		return nil, asConnectError(err)
	}
	return connect.NewResponse(&message{Value: reply}), nil
}

func connectBidi(ctx context.Context, stream *connect.BidiStream[message, message]) error {
	request, err := stream.Receive()
	if err != nil {
		return err
	}
	return asConnectError(obeyWithStream(ctx, request.Value, func(reply string) error {
		return stream.Send(&message{Value: reply})
	}))
}

func asConnectError(err error) error {
	var failure failure
	switch {
	case errors.As(err, &failure):
		return connect.NewError(connect.Code(failure.code), err)
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	}
	return err
}

type connectClient struct {
	http *http.Client
	url  string
}

func newConnectClient(address string) *connectClient {
	transport := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	return &connectClient{&http.Client{Transport: transport}, "http://" + address}
}

func (client *connectClient) call(ctx context.Context, kind, method, text string, zipped bool) (int, codes.Code) {
	options := []connect.ClientOption{
		connect.WithGRPC(),
		connect.WithInterceptors(connectInterceptor()),
		connect.WithReadMaxBytes(4 << 20),
	}
	if zipped {
		options = append(options, connect.WithSendGzip())
	}
	caller := connect.NewClient[message, message](client.http, client.url+method, options...)
	request := &message{Value: text}
	switch kind {
	case "Unary":
		_, err := caller.CallUnary(ctx, connect.NewRequest(request))
		return connectReplies(1, err)
	case "ClientStream":
		stream := caller.CallClientStream(ctx)
		// If it fails, receiving tells why.
		_ = stream.Send(request)
		_, err := stream.CloseAndReceive()
		return connectReplies(1, err)
	case "ServerStream":
		stream, err := caller.CallServerStream(ctx, connect.NewRequest(request))
		if err != nil {
			return connectReplies(0, err)
		}
		count := 0
		for stream.Receive() {
			count++
		}
		_ = stream.Close()
		return connectReplies(count, stream.Err())
	}
	stream := caller.CallBidiStream(ctx)
	_ = stream.Send(request)
	_ = stream.CloseRequest()
	count := 0
	for {
		if _, err := stream.Receive(); err != nil {
			_ = stream.CloseResponse()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return connectReplies(count, err)
		}
		count++
	}
}

func connectReplies(count int, err error) (int, codes.Code) {
	if err == nil {
		return count, codes.OK
	}
	// Its codes are those of gRPC, without OK.
	return 0, codes.Code(connect.CodeOf(err))
}
