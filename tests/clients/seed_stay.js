'use strict';
// node seed_stay.js PORT TOKEN MODE: the connection example with its error handling; tells what happens to it.

const ioClient = require('socket.io-client');
const { TRANSPORTS } = require('./lib/connections');
const snippets = require('./lib/snippets');

const [port, token, mode] = process.argv.slice(2);
const tell = (...words) => process.stdout.write(`${words.join(' ')}\n`);
// 'default' is the example as it stands; the other modes add the transports to its options.
const io = (url, options) => ioClient.io(url, {
  ...options, auth: { token }, ...(mode === 'default' ? {} : { transports: TRANSPORTS[mode] }),
});
let connections = 0;

const socket = snippets.run('connect.js', port, { io }, 'socket');
snippets.runTelling('connection_errors.js', { socket }, (comment) => tell(`told ${connections}:`, comment));

socket.on('disconnect', (reason) => tell(`disconnected ${connections}:`, reason));
socket.on('connected', (data) => {
  connections += 1;
  const { engine } = socket.io;
  const settled = () => tell(`connected ${connections}`, engine.transport.name, data.socketId === socket.id, data.userId);
  if (mode === 'default' && engine.transport.name === 'polling') engine.once('upgrade', settled);
  else settled();
});
socket.on('order:status_updated', ({ message }) => tell(`update ${connections}:`, message));
