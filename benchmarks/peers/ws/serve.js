// SPDX-License-Identifier: MIT
'use strict';

// A room of WebSockets by node's ws, Debian's package: serve.js room, as benchmarks/echo/load.c starts one. What one says
// is sent to all, as in the example of a broadcast in ws's own page; compression is off, which is its default.
const http = require('http');
const { WebSocket, WebSocketServer } = require('/usr/share/nodejs/ws');

const server = http.createServer();
const room = new WebSocketServer({ server, path: '/room' });
room.on('connection', (member) => {
  member.on('error', () => {});
  member.on('message', (data, isBinary) => {
    room.clients.forEach((one) => {
      if (one.readyState === WebSocket.OPEN) one.send(data, { binary: isBinary });
    });
  });
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => console.log(server.address().port));
