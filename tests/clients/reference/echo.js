'use strict';
// The Node server doing what examples/echo.py does: node echo.js --port N [--ping-interval S] [--ping-timeout S]

const { parseArgs } = require('node:util');
const { Server } = require('socket.io');

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    'ping-interval': { type: 'string', default: '25' },
    'ping-timeout': { type: 'string', default: '20' },
    'connect-timeout': { type: 'string', default: '45' },
  },
});

const http = require('node:http').createServer();
const io = new Server(http, {
  pingInterval: Number(values['ping-interval']) * 1000,
  pingTimeout: Number(values['ping-timeout']) * 1000,
  connectTimeout: Number(values['connect-timeout']) * 1000,
  maxHttpBufferSize: 1e6,
  cors: { origin: '*' },
});

io.on('connection', (socket) => {
  socket.emit('auth', socket.handshake.auth);
  socket.on('message', (...args) => socket.emit('message-back', ...args));
  socket.on('message-with-ack', (...args) => args.pop()(...args));
});
io.of('/custom').on('connection', (socket) => socket.emit('auth', socket.handshake.auth));

http.listen(Number(values.port), '127.0.0.1', () => console.log(`listening on 127.0.0.1:${values.port}`));
