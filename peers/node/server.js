'use strict';
// A gRPC server with OpenTelemetry's instrumentation for Node.js.
//
// Usage: `server.js PROTO_DIRECTORY [NEXT]`. Prints its address, and stops when its standard input
// ends. There is a service for each kind of RPC. The text of the first message is a command:
//
// * a number: fails with this status code
// * `wait`: prints `waits`, and waits until the client has cancelled the call
// * `later COMMAND`: sends a message first, and then runs the command
// * anything else: replies with the text
//
// If NEXT is the address of a server, unary calls are forwarded to it.

const { answer, shutdown } = require('./telemetry'); // Before the modules that it instruments.
const grpc = require('@grpc/grpc-js');
const { load } = require('./kinds');

const [directory, next] = process.argv.slice(2);
const kinds = load(directory);

function obey(text, call, reply, fail) {
  if (text === 'wait') {
    answer('waits');
    call.on('cancelled', () => fail({ code: grpc.status.CANCELLED, details: 'gone' }));
  } else if (/^\d+$/.test(text)) {
    fail({ code: Number(text), details: `as asked: ${text}` });
  } else {
    reply({ text });
  }
}

function replyWithMessage(text, call, callback) {
  obey(text, call, (reply) => callback(null, reply), callback);
}

function replyWithStream(text, call) {
  if (text.startsWith('later ')) call.write({ text: 'first' });
  const reply = (message) => {
    call.write(message);
    call.end();
  };
  obey(text.replace(/^later /, ''), call, reply, (status) => call.emit('error', status));
}

const nextOne = next && new kinds.Unary(next, grpc.credentials.createInsecure());

const server = new grpc.Server();
server.addService(kinds.Unary.service, {
  Call: (call, callback) => {
    if (nextOne) nextOne.Call(call.request, callback);
    else replyWithMessage(call.request.text, call, callback);
  },
});
server.addService(kinds.ServerStream.service, {
  Call: (call) => replyWithStream(call.request.text, call),
});
server.addService(kinds.ClientStream.service, {
  Call: (call, callback) => call.once('data', ({ text }) => replyWithMessage(text, call, callback)),
});
server.addService(kinds.Bidi.service, {
  Call: (call) => call.once('data', ({ text }) => replyWithStream(text, call)),
});

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  answer(`127.0.0.1:${port}`);
});
process.stdin.resume();
process.stdin.on('end', () => {
  nextOne?.close();
  server.tryShutdown(() => shutdown());
});
