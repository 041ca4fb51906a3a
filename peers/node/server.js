'use strict';
// A gRPC server with OpenTelemetry's instrumentation for Node.js.
//
// Usage: `server.js PROTO_DIRECTORY server [NEXT]`. There is a service for each kind of RPC.
// peers/README.md has the commands in the first message, and on standard input. If NEXT is the
// address of a server, unary calls are forwarded to it.

const { answer, shutdown } = require('./telemetry'); // Before the modules that it instruments.
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const { load, served } = require('./kinds');

const [directory, , next] = process.argv.slice(2);
const kinds = load(directory);
const services = served(kinds);
const waiting = new Set(); // The replies of handlers that wait, the first in front.

function obey(text, call, reply, fail) {
  if (text === 'wait') {
    answer('waits');
    const release = () => reply({ text });
    waiting.add(release);
    // Told of every call that ends, also of those that have replied.
    call.on('cancelled', () => {
      if (waiting.delete(release)) fail({ code: grpc.status.CANCELLED, details: 'gone' });
    });
  } else if (text === 'panic') {
    throw new Error('as asked');
  } else if (/^\d+$/.test(text)) {
    fail({ code: Number(text), details: `as asked: ${text}` });
  } else {
    reply({ text: text === 'large' ? 'x'.repeat(5 << 20) : text });
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
server.addService(services.Unary, {
  Call: (call, callback) => {
    if (nextOne) nextOne.Call(call.request, callback);
    else replyWithMessage(call.request.text, call, callback);
  },
});
server.addService(services.ServerStream, {
  Call: (call) => replyWithStream(call.request.text, call),
});
server.addService(services.ClientStream, {
  Call: (call, callback) => call.once('data', ({ text }) => replyWithMessage(text, call, callback)),
});
server.addService(services.Bidi, {
  Call: (call) => call.once('data', ({ text }) => replyWithStream(text, call)),
});

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  answer(`127.0.0.1:${port}`);
});
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  if (line === 'release') {
    const [release] = waiting;
    waiting.delete(release);
    release();
  }
  else if (line === 'flush') answer('flushed');
  else if (line === 'goaway') {
    server.tryShutdown(() => {});
    answer('going');
  }
});
lines.on('close', () => {
  nextOne?.close();
  server.tryShutdown(() => shutdown());
});
