// SPDX-License-Identifier: MIT
// sockets.js client URL | server: node's ws against a WebSocket of crank's that echoes; what it sees is printed. The
// server takes two connections.
'use strict';
const WebSocket = require('ws');

function once(emitter, name) {
  return new Promise((resolve, reject) => {
    emitter.once(name, (...values) => resolve(values));
    emitter.once('error', reject);
  });
}

async function talk(socket) {
  let messages = 0;
  const sizes = [0, 1, 125, 126, 65535, 65536, 1 << 20];
  for (const size of sizes)
    for (const data of [Buffer.alloc(size, 0xff), 'a'.repeat(size)]) {
      socket.send(data);
      const [echo, binary] = await once(socket, 'message');
      messages += binary === (typeof data !== 'string') && echo.equals(Buffer.from(data));
    }
  const both = Promise.all([once(socket, 'pong'), once(socket, 'message')]);
  socket.send('in ', { fin: false });
  socket.ping('between');
  socket.send('pieces', { fin: true });
  const [[pong], [pieces]] = await both;
  console.log(`protocol ${socket.protocol}, ${messages} messages, ${pieces}, ${pong}`);
}

async function client(url) {
  for (const told of [true, false]) {
    const socket = new WebSocket(url, ['chat', 'echo']);
    await once(socket, 'open');
    await talk(socket);
    if (told)
      socket.send('close');
    else
      socket.close(4000, 'enough');
    const [code, reason] = await once(socket, 'close');
    console.log(`closed with ${code} ${reason}`);
  }
}

function server() {
  let left = 2;
  const listener = new WebSocket.Server({ host: '127.0.0.1', port: 0, maxPayload: 1 << 24,
    handleProtocols: () => 'echo', perMessageDeflate: true });
  listener.on('listening', () => console.log(listener.address().port));
  listener.on('connection', (socket) => {
    socket.on('message', (data, binary) => {
      if (String(data) === 'close')
        socket.close(4001, 'as told');
      else
        socket.send(data, { binary });
    });
    socket.on('close', (code, reason) => {
      console.log(`closed with ${code} ${reason}`);
      if (--left === 0)
        listener.close();
    });
  });
}

if (process.argv[2] === 'client')
  client(process.argv[3]).catch((error) => { console.error(error); process.exit(1); });
else
  server();
