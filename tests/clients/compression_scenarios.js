'use strict';
// node compression_scenarios.js LIBRARY MODE URL: WebSocket messages that are compressed on the way, and what they weigh.

const assert = require('node:assert/strict');
const { Connections } = require('./lib/connections');
const { next, run, scenario } = require('./lib/scenarios');

const [library, mode, url] = process.argv.slice(2);
const LONG = 'the same words again and again, ä and 漢字 too; '.repeat(4000);

const wire = (socket) => socket.io.engine.transport.ws;

async function echoed(socket, ...args) {
  const answer = next(socket, 'message-back');
  socket.emit('message', ...args);
  return answer;
}

scenario('compression is agreed on', async (clients) => {
  const socket = await clients.join();
  assert.match(String(Object.keys(wire(socket)._extensions)), /permessage-deflate/);
});

scenario('long messages are light both ways', async (clients) => {
  const socket = await clients.join();
  const { bytesRead, bytesWritten } = wire(socket)._socket;
  for (let turn = 0; turn < 5; turn += 1) assert.deepStrictEqual(await echoed(socket, LONG), [LONG]);
  assert.ok(wire(socket)._socket.bytesRead - bytesRead < LONG.length / 10);
  assert.ok(wire(socket)._socket.bytesWritten - bytesWritten < LONG.length / 10);
});

scenario('short, long, binary and random messages come as they were sent', async (clients) => {
  const socket = await clients.join();
  const random = require('node:crypto').randomBytes(50000);
  for (const value of ['', 'short', LONG, Buffer.alloc(100000), random, { deep: [LONG, random] }]) {
    assert.deepStrictEqual(await echoed(socket, value), [value]);
  }
});

scenario('one who does not compress hears the same', async (clients) => {
  const socket = await clients.join();
  const plain = await clients.join('/', { perMessageDeflate: false });
  assert.deepStrictEqual(Object.keys(wire(plain)._extensions), []);
  const heard = [socket, plain].map((one) => next(one, 'news'));
  socket.emit('io-emit', 'news', LONG);
  assert.deepStrictEqual(await Promise.all(heard), [[LONG], [LONG]]);
});

run({
  mode,
  before: () => new Connections({ library, url, mode }),
  after: (clients) => clients.close(),
});
