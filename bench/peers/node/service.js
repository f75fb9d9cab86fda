'use strict';
// The same service on Node: socket.io, express, jsonwebtoken, amqplib and winston, each as its own guide shows it.
// PORT, JWT_SECRET, RABBITMQ_URL, LOG_FILE and LOG_LEVEL come from the environment, of a cluster also REDIS_URL and
// CLUSTER. Prints "ready" once it consumes.
// Logs what rtwist logs at the same level: who comes and goes, joins and leaves, and each emission with its target.
// With --expose-gc, SIGUSR2 collects garbage.

const http = require('node:http');
const express = require('express');
const cors = require('cors');
const jwt = require('jsonwebtoken');
const winston = require('winston');
const { Server } = require('socket.io');

const { clusterAdapter } = require('./cluster');
const { consume } = require('./consumer');
const { emissionsOf } = require('./rules');

const logger = winston.createLogger({
  level: process.env.LOG_LEVEL || 'info',
  format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
  transports: [new winston.transports.File({ filename: process.env.LOG_FILE })],
});

const origin = process.env.FRONTEND_URL || '*';
const app = express();
app.use(cors({ origin, credentials: true }));
const server = http.createServer(app);
const io = new Server(server, {
  cors: { origin, methods: ['GET', 'POST'], credentials: true },
  pingInterval: 25000,
  pingTimeout: 60000,
});

const now = () => new Date().toISOString();
const sizeOf = (room) => io.sockets.adapter.rooms.get(room)?.size ?? 0;

app.get('/health', (request, response) => {
  response.json({ status: 'OK', service: 'websocket-service', timestamp: now() });
});
app.get('/user-status/:userId', (request, response) => {
  const { userId } = request.params;
  response.json({ success: true, data: { userId, isConnected: sizeOf(`user:${userId}`) > 0 } });
});

io.use((socket, next) => {
  const { token } = socket.handshake.auth;
  if (!token) {
    next(new Error('Authentication required'));
    return;
  }
  try {
    socket.user = jwt.verify(token, process.env.JWT_SECRET, { algorithms: ['HS256'] });
    next();
  } catch {
    logger.info('client refused', { socket: socket.id });
    next(new Error('Invalid or expired token'));
  }
});

function roomsOf(user) {
  const rooms = [`user:${user.userId}`];
  if (user.companyId) rooms.push(`company:${user.companyId}`);
  for (const shop of user.shopIds ?? []) rooms.push(`shop:${shop}`);
  for (const role of user.roles ?? []) rooms.push(role === 'super_admin' ? role : `role:${role}`);
  return rooms;
}

function tellPresence(event, user) {
  if (!user.companyId) return;
  const rooms = [`company:${user.companyId}`, 'super_admin'];
  io.to(rooms).except(`user:${user.userId}`).emit(event, { userId: user.userId, timestamp: now() });
  logger.info(`emitted ${event}`, { target: rooms });
}

function answer(ack, reply) {
  if (typeof ack === 'function') ack(reply);
}

function membership(socket, event, prefix, action) {
  socket.on(event, (id, ack) => {
    const room = prefix + id;
    socket[action](room);
    logger.info(event, { user: socket.user.userId, socket: socket.id, room });
    answer(ack, { success: true, room });
  });
}

function disconnected(socket, reason) {
  const { user } = socket;
  logger.info('user disconnected', { user: user.userId, socket: socket.id, reason });
  if (!sizeOf(`user:${user.userId}`)) tellPresence('presence:offline', user);
}

io.on('connection', (socket) => {
  const { user } = socket;
  const rooms = roomsOf(user);
  socket.join(rooms);
  for (const [name, prefix] of [['order', 'order:'], ['inventory', 'product:'], ['transfer', 'transfer:']]) {
    membership(socket, `subscribe_${name}`, prefix, 'join');
    membership(socket, `unsubscribe_${name}`, prefix, 'leave');
  }
  membership(socket, 'join_room', '', 'join');
  membership(socket, 'leave_room', '', 'leave');
  socket.on('typing', ({ roomId, isTyping }) => {
    socket.to(roomId).emit('typing', { roomId, userId: user.userId, isTyping, timestamp: now() });
  });
  socket.on('disconnect', (reason) => disconnected(socket, reason));
  logger.info('user connected', { user: user.userId, socket: socket.id, rooms });
  socket.emit('connected', {
    message: 'Connected to the event server', socketId: socket.id, userId: user.userId, rooms, timestamp: now(),
  });
  if (sizeOf(`user:${user.userId}`) === 1) tellPresence('presence:online', user);
});

function handleEvent(routingKey, message) {
  for (const { event, data, rooms } of emissionsOf(routingKey, message)) {
    (rooms ? io.to(rooms) : io).emit(event, data);
    logger.info(`emitted ${event}`, { target: rooms ?? 'everyone', cause: `${routingKey} ${message.id}` });
  }
}

process.on('SIGUSR2', () => global.gc?.());
clusterAdapter(logger).then((adapter) => {
  if (adapter) io.adapter(adapter);
  server.listen(Number(process.env.PORT), '127.0.0.1', async () => {
    await consume(process.env.RABBITMQ_URL, handleEvent, logger);
    process.stdout.write('ready\n');
  });
});
