'use strict';
// A client and a server of connect-node, which has no instrumentation: spans are made by hand.
//
// Usage: `connect.js PROTO_DIRECTORY client ADDRESS` or `connect.js PROTO_DIRECTORY server`.
// peers/README.md has the protocol on standard input and output.

const { answer, shutdown } = require('./telemetry');
const http2 = require('node:http2');
const readline = require('node:readline');
const { create, createFileRegistry } = require('@bufbuild/protobuf');
const { FileDescriptorProtoSchema, FieldDescriptorProto_Type: Type, FieldDescriptorProto_Label: Label } = require('@bufbuild/protobuf/wkt');
const { Code, ConnectError, createClient } = require('@connectrpc/connect');
const { compressionGzip, connectNodeAdapter, createGrpcTransport } = require('@connectrpc/connect-node');
const { SpanKind, SpanStatusCode, context, propagation, trace } = require('@opentelemetry/api');

const LIMIT = 4 << 20;
const tracer = trace.getTracer('by hand');
const registry = describe();
const Message = registry.getMessage('kinds.Message');

// Describes kinds.proto, so that no code has to be generated.
function describe() {
  const method = (kind, name) => ({
    name,
    inputType: '.kinds.Message',
    outputType: '.kinds.Message',
    clientStreaming: kind === 'ClientStream' || kind === 'Bidi',
    serverStreaming: kind === 'ServerStream' || kind === 'Bidi',
  });
  const service = (kind) => ({ name: kind, method: [method(kind, 'Call'), method(kind, 'Unknown')] });
  const text = { name: 'text', number: 1, type: Type.STRING, label: Label.OPTIONAL };
  return createFileRegistry(create(FileDescriptorProtoSchema, {
    name: 'kinds.proto',
    package: 'kinds',
    syntax: 'proto3',
    messageType: [{ name: 'Message', field: [text] }],
    service: ['Unary', 'ServerStream', 'ClientStream', 'Bidi'].map(service),
  }), () => undefined);
}

function codeName(code) {
  const name = Code[code].replace(/(.)([A-Z])/g, '$1_$2').toUpperCase();
  return name === 'CANCELED' ? 'CANCELLED' : name;
}

// Runs a call in a span, which ends as the call does.
async function inSpan(kind, name, parent, run) {
  const span = tracer.startSpan(name, { kind }, parent);
  try {
    const result = await context.with(trace.setSpan(parent, span), run);
    span.setAttribute('rpc.response.status_code', 'OK');
    return result;
  } catch (error) {
    const name = codeName(ConnectError.from(error).code);
    span.setAttribute('rpc.response.status_code', name);
    const isServers = ['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'];
    if (kind === SpanKind.CLIENT || isServers.includes(name)) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttribute('error.type', name);
    }
    throw error;
  } finally {
    span.end();
  }
}

function runClient(address) {
  const transport = (gzip) => createGrpcTransport({
    baseUrl: `http://${address}`,
    readMaxBytes: LIMIT,
    ...(gzip ? { sendCompression: compressionGzip, compressMinBytes: 0 } : { acceptCompression: [] }),
  });
  const transports = { gzip: transport(true), plain: transport(false) };
  const calls = new Set();

  async function start(kind, text, seconds, option) {
    const abort = new AbortController();
    calls.add(abort);
    const client = createClient(registry.getService(`kinds.${kind}`), transports[option === 'gzip' ? 'gzip' : 'plain']);
    const method = option === 'unknown' ? 'unknown' : 'call';
    const message = create(Message, { text: text === 'large-request' ? 'x'.repeat(5 << 20) : text });
    const request = kind === 'ClientStream' || kind === 'Bidi' ? (async function* () { yield message; })() : message;
    let replies = 0;
    let code = 'OK';
    try {
      await inSpan(SpanKind.CLIENT, `kinds.${kind}/Call`, context.active(), async () => {
        const headers = {};
        propagation.inject(context.active(), headers);
        const options = { headers, signal: abort.signal, timeoutMs: seconds ? Number(seconds) * 1000 : undefined };
        const reply = client[method](request, options);
        if (kind === 'ServerStream' || kind === 'Bidi') for await (const _ of reply) replies += 1;
        else { await reply; replies = 1; }
      });
    } catch (error) {
      code = codeName(ConnectError.from(error).code);
    }
    calls.delete(abort);
    answer(`ended ${kind} ${code} ${replies}`);
  }

  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'cancel') calls.forEach((abort) => abort.abort());
    else if (line === 'flush') answer('flushed');
    else start(...line.split('|'));
  });
  lines.on('close', () => shutdown().then(() => process.exit()));
}

function runServer() {
  const waiting = new Set(); // The handlers that wait, the first in front.

  async function obey(text, signal) {
    if (text === 'panic') throw new Error('as asked');
    if (text === 'large') return { text: 'x'.repeat(5 << 20) };
    if (/^\d+$/.test(text)) throw new ConnectError(`as asked: ${text}`, Number(text));
    if (text === 'wait') {
      answer('waits');
      await new Promise((resolve, reject) => {
        waiting.add(resolve);
        signal.addEventListener('abort', () => { waiting.delete(resolve); reject(signal.reason); });
      });
    }
    return { text };
  }
  async function* stream(text, signal) {
    if (text.startsWith('later ')) yield { text: 'first' };
    yield await obey(text.replace(/^later /, ''), signal);
  }
  async function first(requests) {
    for await (const request of requests) return request;
    return { text: '' };
  }
  const unary = (kind) => ({
    call: async (request, { signal }) => obey((kind === 'Unary' ? request : await first(request)).text, signal),
  });
  const streaming = (kind) => ({
    call: async function* (request, { signal }) {
      yield* stream((kind === 'Bidi' ? await first(request) : request).text, signal);
    },
  });

  const instrument = (next) => (request) => {
    const parent = propagation.extract(context.active(), Object.fromEntries(request.header));
    const name = `${request.service.typeName}/${request.method.name}`;
    if (!request.stream) return inSpan(SpanKind.SERVER, name, parent, () => next(request));
    return streamed(request, name, parent, next);
  };
  // The span of a stream ends with the stream.
  async function streamed(request, name, parent, next) {
    let finish;
    const ended = new Promise((resolve, reject) => { finish = { resolve, reject }; });
    inSpan(SpanKind.SERVER, name, parent, () => ended).catch(() => {});
    try {
      const response = await next(request);
      if (!response.stream) {
        finish.resolve();
        return response;
      }
      return { ...response, message: watched(response.message, finish) };
    } catch (error) {
      finish.reject(error);
      throw error;
    }
  }
  async function* watched(messages, finish) {
    let isOver = false;
    try {
      yield* messages;
      isOver = true;
      finish.resolve();
    } catch (error) {
      isOver = true;
      finish.reject(error);
      throw error;
    } finally {
      if (!isOver) finish.reject(new ConnectError('gone', Code.Canceled));
    }
  }

  const routes = (router) => {
    for (const kind of ['Unary', 'ClientStream']) router.service(registry.getService(`kinds.${kind}`), unary(kind));
    for (const kind of ['ServerStream', 'Bidi']) router.service(registry.getService(`kinds.${kind}`), streaming(kind));
  };
  const sessions = new Set();
  // The connection keeps what has come of a refused request. With more than Node's 10 MB of that,
  // it resets all later streams.
  const options = { maxSessionMemory: 100 };
  const adapter = connectNodeAdapter({ routes, interceptors: [instrument], readMaxBytes: LIMIT });
  const server = http2.createServer(options, adapter);
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.listen(0, '127.0.0.1', () => answer(`127.0.0.1:${server.address().port}`));
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'release') {
      const [release] = waiting;
      waiting.delete(release);
      release();
    }
    else if (line === 'flush') answer('flushed');
    else if (line === 'goaway') {
      server.close();
      sessions.forEach((session) => session.close());
      answer('going');
    }
  });
  lines.on('close', () => shutdown().then(() => process.exit()));
}

const [, role, address] = process.argv.slice(2);
if (role === 'server') runServer();
else runClient(address);
