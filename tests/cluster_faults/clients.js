'use strict';
// node clients.js SEATS HISTORIES: real socket.io-clients, [{name, url, transports, auth, asks: [[event, id], …]}, …].
// Prints how they are whenever that has changed, as tests/cluster_faults/crowd.py does. On SIGTERM they leave, and
// HISTORIES gets {name: [{began, settled, ended, received: [[at, number, event], …]}, …]}, times in seconds.

const fs = require('node:fs');
const path = require('node:path');
const { io } = require(path.join(__dirname, '..', 'clients', 'node_modules', 'socket.io-client'));

const [seatsFile, historiesFile] = process.argv.slice(2);
const FOR_EVERYONE = 'announcement:new';
const FIELDS = { order: 'orderNumber', inventory: 'quantity' };
const now = () => Number(process.hrtime.bigint()) / 1e9;

class Client {
  constructor({ name, url, transports, auth, asks }) {
    this.name = name;
    this.connections = [];
    this.told = -1;
    this.in = false;
    this.socket = io(url, {
      transports, auth, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500,
    });
    this.socket.on('connect', () => this.begin(asks));
    this.socket.on('disconnect', () => this.end());
    this.socket.onAny((event, data) => this.keep(event, data));
  }

  async begin(asks) {
    const connection = { began: now(), settled: null, ended: null, received: [] };
    this.connections.push(connection);
    const answers = asks.map((ask) => this.socket.emitWithAck(...ask));
    await Promise.allSettled(answers); // they are rejected when the connection ends
    if (connection.ended !== null) return;
    connection.settled = now();
    this.in = true;
  }

  end() {
    this.in = false;
    this.connections.at(-1).ended = now();
  }

  keep(event, data) {
    if (event === 'connected' || event.startsWith('presence:')) return;
    const number = Number(data[FIELDS[event.split(':')[0]] || 'content']);
    this.connections.at(-1).received.push([now(), number, event]);
    if (event === FOR_EVERYONE) this.told = number;
  }
}

const clients = JSON.parse(fs.readFileSync(seatsFile, 'utf8')).map((seat) => new Client(seat));
let last = '';
setInterval(() => {
  const present = clients.filter((client) => client.in);
  const told = present.length ? Math.min(...present.map((client) => client.told)) : -1;
  const report = JSON.stringify({ in: present.length, told });
  if (report !== last) process.stdout.write(`${report}\n`);
  last = report;
}, 250);

process.on('SIGTERM', () => {
  const histories = Object.fromEntries(clients.map((client) => [client.name, client.connections]));
  fs.writeFileSync(historiesFile, JSON.stringify(histories));
  process.exit(0);
});
