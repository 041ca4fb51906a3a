'use strict';
// Loads the services of kinds.proto at run time.

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

exports.load = (directory) => {
  const definitions = loadSync(path.join(directory, 'kinds.proto'));
  for (const kind of ['Unary', 'ServerStream', 'ClientStream', 'Bidi']) {
    // A method that no server has.
    const { Call } = definitions[`kinds.${kind}`];
    definitions[`kinds.${kind}`].Unknown = { ...Call, path: `/kinds.${kind}/Unknown`, originalName: 'unknown' };
  }
  return grpc.loadPackageDefinition(definitions).kinds;
};

// The services without that method.
exports.served = (kinds) => Object.fromEntries(
  Object.entries(kinds).filter(([, { service }]) => service)
    .map(([kind, { service }]) => [kind, { Call: service.Call }]),
);

exports.codeName = (code) => Object.keys(grpc.status).find((name) => grpc.status[name] === code);
