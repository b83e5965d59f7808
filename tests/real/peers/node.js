// SPDX-License-Identifier: MIT
// node.js: node's http, as ours.c answers.
'use strict';
const http = require('http');
const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => response.end(`${request.method} ${request.url} ${Buffer.concat(pieces)}`));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
