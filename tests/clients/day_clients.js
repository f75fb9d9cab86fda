'use strict';
// node day_clients.js URL FILE: the clients of FILE, [{name, mode, token, asks: [[event, id], …]}, …], join one after the
// other, then ask. Prints one JSON array a line: [name, "answers", […]], [name, "heard", event, data],
// and ["", "ready"] when all have their answers.

const fs = require('node:fs');
const { Connections } = require('./lib/connections');

const [url, file] = process.argv.slice(2);
const tell = (...values) => process.stdout.write(`${JSON.stringify(values)}\n`);

async function join({ name, mode, token }) {
  const connections = new Connections({ library: 'socket.io-client', url, mode });
  const manager = connections.manager({ reconnection: false });
  const socket = manager.socket('/', { auth: { token } });
  const welcome = new Promise((resolve) => { socket.once('connected', resolve); });
  let upgraded = Promise.resolve();
  if (mode === 'upgrade') {
    upgraded = new Promise((resolve) => {
      manager.once('open', () => manager.engine.once('upgrade', resolve));
    });
  }
  socket.onAny((event, data) => { if (event !== 'connected') tell(name, 'heard', event, data); });
  socket.on('disconnect', () => tell(name, 'heard', '(disconnected)', null));
  socket.connect();
  await Promise.all([welcome, upgraded]);
  return socket;
}

async function main() {
  const clients = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (const client of clients) {
    const socket = await join(client);
    const answers = await Promise.all(client.asks.map((ask) => socket.emitWithAck(...ask)));
    tell(client.name, 'answers', answers);
  }
  tell('', 'ready');
}

main();
