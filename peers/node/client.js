'use strict';
// A gRPC client with OpenTelemetry's instrumentation for Node.js.
//
// Usage: `client.js ADDRESS PROTO_DIRECTORY`. Each line of standard input is a call: `SERVICE|TEXT`
// or, with a deadline, `SERVICE|TEXT|SECONDS`. Prints the result of each call. If the text ends
// with `wait` and there is no deadline, starts the call, prints `waits`, and cancels the call when
// it reads another line.

const { answer, shutdown } = require('./telemetry'); // Before the modules that it instruments.
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const { codeName, load } = require('./kinds');

const [address, directory] = process.argv.slice(2);
const kinds = load(directory);
const clients = {};
for (const service of ['Unary', 'ServerStream', 'ClientStream', 'Bidi']) {
  clients[service] = new kinds[service](address, grpc.credentials.createInsecure());
}

// Makes a call, and resolves to its replies and its status when it has ended.
function call(service, text, seconds, started) {
  const got = [];
  return new Promise((resolve) => {
    const ended = ({ code, details }) => resolve({ got, code: codeName(code), details });
    const replied = (error, reply) => {
      if (reply) got.push(reply.text);
      ended(error ?? { code: grpc.status.OK, details: '' });
    };
    const client = clients[service];
    const options = { deadline: Date.now() + seconds * 1000 };
    const streamsRequests = service === 'ClientStream' || service === 'Bidi';
    const streamsReplies = service === 'ServerStream' || service === 'Bidi';
    const call = client.Call(
      ...(streamsRequests ? [] : [{ text }]),
      new grpc.Metadata(),
      options,
      ...(streamsReplies ? [] : [replied]),
    );
    if (streamsRequests) call.end({ text });
    if (streamsReplies) {
      call.on('data', (reply) => got.push(reply.text));
      call.on('error', () => {});
      call.on('status', ended);
    }
    started(call);
  });
}

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  for (;;) {
    const { value, done } = await lines.next();
    if (done) break;
    const [service, text, seconds] = value.split('|');
    let started;
    const ended = call(service, text, Number(seconds ?? 30), (call) => { started = call; });
    if (text.endsWith('wait') && !seconds) {
      answer('waits');
      await lines.next();
      started.cancel();
    }
    answer(await ended);
  }
  for (const client of Object.values(clients)) client.close();
  await shutdown();
}

main();
