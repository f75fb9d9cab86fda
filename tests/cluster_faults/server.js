'use strict';
// node server.js REDIS_URL PORT: a Socket.IO server of the platform that has not moved yet, in the cluster by the classic
// adapter. Its clients join the rooms that they name in their handshake. Prints "ready".

const path = require('node:path');
const load = (name) => require(path.join(__dirname, '..', 'clients', 'node_modules', name));
const { Server } = load('socket.io');
const { createAdapter } = load('@socket.io/redis-adapter');
const { createClient } = load('redis');

const [url, port] = process.argv.slice(2);

async function main() {
  const clients = [createClient({ url }), createClient({ url })];
  for (const client of clients) client.on('error', () => {});
  await Promise.all(clients.map((client) => client.connect()));
  const io = new Server(Number(port), { adapter: createAdapter(...clients) });
  io.on('connection', (socket) => {
    socket.join(socket.handshake.auth.rooms);
    socket.on('subscribed', (answer) => answer());
  });
  process.stdout.write('ready\n');
}

main();
