'use strict';
// A gRPC client with OpenTelemetry's instrumentation for Node.js.
//
// Usage: `client.js PROTO_DIRECTORY client ADDRESS`. peers/README.md has the protocol on standard
// input and output.

const { answer, shutdown } = require('./telemetry'); // Before the modules that it instruments.
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const { codeName, load } = require('./kinds');

const [directory, , address] = process.argv.slice(2);
const kinds = load(directory);
const gzip = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
const clients = {};
for (const service of ['Unary', 'ServerStream', 'ClientStream', 'Bidi']) {
  const client = (options) => new kinds[service](address, grpc.credentials.createInsecure(), options);
  clients[service] = { plain: client({}), gzip: client(gzip) };
}
const calls = new Set();

// Starts a call, and prints its end.
function start(service, text, seconds, option) {
  const message = { text: text === 'large-request' ? 'x'.repeat(5 << 20) : text };
  const got = [];
  let started;
  const ended = ({ code, details }) => {
    calls.delete(started);
    answer(`ended ${service} ${codeName(code)} ${got.length} ${details}`);
  };
  const replied = (error, reply) => {
    if (reply) got.push(reply.text);
    ended(error ?? { code: grpc.status.OK, details: '' });
  };
  const client = clients[service][option === 'gzip' ? 'gzip' : 'plain'];
  const options = { deadline: Date.now() + Number(seconds || 60) * 1000 };
  const streamsRequests = service === 'ClientStream' || service === 'Bidi';
  const streamsReplies = service === 'ServerStream' || service === 'Bidi';
  const rest = [
    ...(streamsRequests ? [] : [message]),
    new grpc.Metadata(),
    options,
    ...(streamsReplies ? [] : [replied]),
  ];
  // The instrumentation finds the methods of generated clients, so an unknown one is one of them.
  started = option === 'unknown' ? client.Unknown(...rest) : client.Call(...rest);
  calls.add(started);
  if (streamsRequests) started.end(message);
  if (streamsReplies) {
    started.on('data', (reply) => got.push(reply.text));
    started.on('error', () => {});
    started.on('status', ended);
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  if (line === 'cancel') calls.forEach((call) => call.cancel());
  else if (line === 'flush') answer('flushed');
  else start(...line.split('|'));
});
lines.on('close', () => {
  Object.values(clients).forEach(({ plain, gzip }) => { plain.close(); gzip.close(); });
  shutdown();
});
