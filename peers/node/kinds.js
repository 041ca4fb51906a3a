'use strict';
// Loads the services of kinds.proto at run time.

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

exports.load = (directory) => grpc.loadPackageDefinition(loadSync(path.join(directory, 'kinds.proto'))).kinds;

exports.codeName = (code) => Object.keys(grpc.status).find((name) => grpc.status[name] === code);
