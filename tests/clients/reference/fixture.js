'use strict';
// The Node server doing what tests/support/sio_fixture.py does.

const { parseArgs } = require('node:util');
const { Server } = require('socket.io');

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    'ping-interval': { type: 'string', default: '1' },
    'ping-timeout': { type: 'string', default: '5' },
    'connect-timeout': { type: 'string', default: '5' },
    origin: { type: 'string' },
  },
});

const http = require('node:http').createServer();
const io = new Server(http, {
  pingInterval: Number(values['ping-interval']) * 1000,
  pingTimeout: Number(values['ping-timeout']) * 1000,
  connectTimeout: Number(values['connect-timeout']) * 1000,
  maxHttpBufferSize: 1e6,
  cors: values.origin ? { origin: values.origin, credentials: true } : { origin: '*' },
  allowRequest: (request, done) => {
    const { origin } = request.headers;
    done(null, !values.origin || !origin || origin === values.origin);
  },
});

const sorted = (items) => [...items].sort();
const aim = (from, rooms) => rooms.reduce((target, room) => target.to(room), from);

io.on('connection', (socket) => {
  socket.data.seen = [];
  socket.use(([event], next) => {
    socket.data.seen.push(event);
    next(event === 'forbidden' ? new Error('forbidden by the middleware') : undefined);
  });
  socket.on('error', () => {});
  const flooding = { sent: 0, limit: 0 };
  const push = () => {
    if (flooding.sent === flooding.limit) return;
    socket.emit('drop', flooding.sent);
    flooding.sent += 1;
    setImmediate(push);
  };
  const handlers = {
    message: (...args) => socket.emit('message-back', ...args),
    who: (ack) => ack({
      id: socket.id,
      rooms: sorted(socket.rooms),
      auth: socket.handshake.auth,
      cookie: socket.handshake.headers.cookie ?? null,
      header: socket.handshake.headers['x-probe'] ?? null,
      probe: socket.handshake.query.probe ?? null,
    }),
    seen: (ack) => ack(socket.data.seen),
    forbidden: () => socket.emit('forbidden-was-handled'),
    fail: () => {},
    later: async (value, ack) => ack(await socket.timeout(5000).emitWithAck('question', value)),
    join: (room, ack) => { socket.join(room); ack(sorted(socket.rooms)); },
    leave: (room, ack) => { socket.leave(room); ack(sorted(socket.rooms)); },
    to: (rooms, ...args) => aim(socket, rooms).emit(...args),
    'to-except': (room, excepted, ...args) => socket.to(room).except(excepted).emit(...args),
    broadcast: (...args) => socket.broadcast.emit(...args),
    volatile: (...args) => socket.volatile.emit(...args),
    'io-emit': (...args) => io.emit(...args),
    'io-to': (rooms, ...args) => aim(io, rooms).emit(...args),
    'io-except': (room, ...args) => io.except(room).emit(...args),
    'ask-me': async (seconds, ...args) => {
      const ack = args.pop();
      try {
        ack({ answer: await socket.timeout(seconds * 1000).emitWithAck(...args) });
      } catch (error) {
        ack({ error: error.message });
      }
    },
    'ask-many': async (count, event, ack) => {
      const numbers = Array.from({ length: count }, (_, n) => n);
      ack(await Promise.all(numbers.map((n) => socket.timeout(5000).emitWithAck(event, n))));
    },
    'ask-room': async (room, seconds, ...args) => {
      const ack = args.pop();
      try {
        ack({ answers: await io.to(room).timeout(seconds * 1000).emitWithAck(...args) });
      } catch (error) {
        ack({ error: error.message, answers: error.responses });
      }
    },
    'in-join': (room, added, ack) => { io.in(room).socketsJoin(added); ack(); },
    'in-leave': (room, old, ack) => { io.in(room).socketsLeave(old); ack(); },
    'in-disconnect': (room, close) => io.in(room).disconnectSockets(close),
    'in-fetch': async (room, ack) => ack(sorted((await io.in(room).fetchSockets()).map(({ id }) => id))),
    'leave-server': (close) => socket.disconnect(close),
    'emit-and-leave': (close) => {
      socket.emit('last words', Buffer.from('bye'));
      socket.disconnect(close);
    },
    flood: (limit) => {
      const resting = flooding.sent === flooding.limit;
      flooding.limit = limit;
      if (resting) push();
    },
    disconnecting: () => { socket.data.rooms = sorted(socket.rooms); },
    disconnect: (reason) => io.to('watchers').emit('gone', {
      id: socket.id, reason, rooms: socket.data.rooms, after: sorted(socket.rooms),
    }),
  };
  for (const [event, handler] of Object.entries(handlers)) socket.on(event, handler);
});

const refusal = (message, data) => Object.assign(new Error(message), { data });

const guarded = io.of('/guarded');
guarded.use((socket, next) => {
  const { refuse } = socket.handshake.auth;
  if (refuse === 'with data') return next(refusal('no entry', { code: 'closed', list: [1, null, 'é'] }));
  if (refuse === 'without data') return next(refusal('no reason'));
  socket.data.first = true;
  return next();
});
guarded.use(async (socket, next) => {
  if (socket.handshake.auth.refuse !== 'later') return next();
  await io.in('nobody').fetchSockets();
  return next(refusal('refused later', { first: socket.data.first }));
});
guarded.on('connection', (socket) => {
  socket.emit('welcome', { first: socket.data.first });
  guarded.emit('somebody entered');
});

io.of('/other').on('connection', (socket) => {
  socket.join('shared');
  socket.on('all', (...args) => io.of('/other').emit(...args));
});

http.listen(Number(values.port), '127.0.0.1', () => console.log(`listening on 127.0.0.1:${values.port}`));
