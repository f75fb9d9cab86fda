'use strict';
// node crowd.js LIBRARY MODE URL TOKEN COUNT [ADDRESS]: so many clients at once, with the retries they have by default.
// Each comes with ADDRESS, as a proxy would say it. Tells whenever all are in, and how often one was sent away.

const { TRANSPORTS } = require('./lib/connections');

const [library, mode, url, token, count, address] = process.argv.slice(2);
const io = require(library);
const extraHeaders = address ? { 'X-Forwarded-For': address } : {};
const inside = new Set();
let rounds = 0;
let failures = 0;

const tell = (...words) => process.stdout.write(`${words.join(' ')}\n`);

for (let number = 0; number < Number(count); number += 1) {
  const socket = io(url, { forceNew: true, transports: TRANSPORTS[mode], auth: { token }, extraHeaders });
  socket.on('connected', () => {
    inside.add(socket);
    if (inside.size === Number(count)) {
      rounds += 1;
      tell(`all in ${rounds}, ${failures} failures`);
      failures = 0;
    }
  });
  socket.on('disconnect', () => inside.delete(socket));
  socket.on('connect_error', (error) => {
    failures += 1;
    if (!socket.active) tell('given up:', error.message);
  });
}
