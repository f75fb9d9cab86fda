'use strict';
// node stay.js LIBRARY MODE URL [ROOM]: stays connected, as a member of ROOM, and tells what happens to the connection.

const { TRANSPORTS } = require('./lib/connections');

const [library, mode, url, room] = process.argv.slice(2);
const socket = require(library)(url, {
  transports: TRANSPORTS[mode], reconnectionDelay: 50, reconnectionDelayMax: 50, timeout: 2000,
});
let connections = 0;

const tell = (...words) => process.stdout.write(`${words.join(' ')}\n`);

function settled() {
  if (room === undefined) polled(2, () => tell(`connected ${connections}`, socket.id));
  else socket.emit('join', room, () => tell(`connected ${connections}`, socket.id));
}

// Calls `done` when what was sent after the last poll began has been taken: the server has that poll by then.
function polled(times, done) {
  if (mode !== 'polling' || times === 0) {
    done();
    return;
  }
  socket.io.engine.once('drain', () => polled(times - 1, done));
  socket.emit('nothing');
}

socket.on('connect', () => {
  connections += 1;
  const { engine } = socket.io;
  if (mode === 'upgrade' && engine.transport.name === 'polling') engine.once('upgrade', settled);
  else settled();
});
socket.on('disconnect', (reason) => tell(`disconnected ${connections}:`, reason));
socket.on('gone', ({ id, reason }) => tell(`gone ${id}:`, reason));
