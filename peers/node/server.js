'use strict';
// A gRPC server that OpenTelemetry's own instrumentation traces: `server.js PROTO_DIRECTORY [NEXT]`.
//
// It has a service for each kind of RPC, which does what the text of the first message says: a number is a code to fail with; `wait` waits until the client
// is gone, and tells the test that it does; with `later ` before it, that is done behind the first message of a stream. Anything else is the reply.
// With the address of a next server, a unary RPC is answered by what that one answers.
//
// Answers with its address, and stops when its standard input ends.

const { answer, shutdown } = require('./telemetry'); // Before what it instruments.
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
