'use strict';
// Runs inside the page: what the browser scenarios ask of the client there. Everything returned is plain JSON.

const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], upgrade: ['polling', 'websocket'] };

function within(promise, what) {
  return Promise.race([promise, new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${what} did not happen within 10 s`)), 10000);
  })]);
}

const next = (emitter, event) => within(new Promise((resolve) => {
  emitter.once(event, (...args) => resolve(args));
}), event);

const ask = (socket, ...args) => within(new Promise((resolve) => {
  socket.emit(...args, (...answer) => resolve(answer));
}), `acknowledgement of ${args[0]}`);

// Binary values as {kind, bytes}, everything else as it is.
function plain(value) {
  if (value instanceof ArrayBuffer) return { kind: 'ArrayBuffer', bytes: [...new Uint8Array(value)] };
  if (ArrayBuffer.isView(value) || value instanceof Blob) return { kind: value.constructor.name };
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
}

async function open(url, mode, options = {}) {
  const socket = io(url, { transports: TRANSPORTS[mode], forceNew: true, reconnection: false, ...options });
  await within(new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', (error) => reject(new Error(`connect_error: ${error.message}`)));
  }), 'connect');
  if (mode === 'upgrade' && socket.io.engine.transport.name === 'polling') await next(socket.io.engine, 'upgrade');
  return socket;
}

const actions = {
  async transport(url, mode) {
    const names = [];
    const socket = io(url, { transports: TRANSPORTS[mode], forceNew: true, autoConnect: false });
    socket.connect();
    names.push(socket.io.engine.transport.name);
    await next(socket, 'connect');
    if (mode === 'upgrade' && socket.io.engine.transport.name === 'polling') await next(socket.io.engine, 'upgrade');
    names.push(socket.io.engine.transport.name);
    socket.disconnect();
    return names;
  },

  // The arguments are made in the page, where Blobs and typed arrays exist.
  async echo(url, mode, make) {
    const args = actions.values[make]();
    const socket = await open(url, mode);
    const back = next(socket, 'message-back');
    socket.emit('message', ...args);
    const result = { message: plain(await back), ack: plain(await ask(socket, 'message-with-ack', ...args)) };
    socket.disconnect();
    return result;
  },

  async order(url, mode, count) {
    const socket = await open(url, mode);
    const got = [];
    const done = within(new Promise((resolve) => {
      socket.on('message-back', (n, data) => {
        got.push([n, data instanceof ArrayBuffer]);
        if (got.length === count) resolve();
      });
    }), 'the last message');
    for (let n = 0; n < count; n += 1) socket.emit('message', n, n % 10 ? 'text' : new Uint8Array([n % 256]));
    await done;
    socket.disconnect();
    return got;
  },

  async who(url, mode, options) {
    const socket = await open(url, mode, options);
    const [answer] = await ask(socket, 'who');
    socket.disconnect();
    return answer;
  },

  // Everything that an origin gets to see of a server, by each way in.
  async intrude(url) {
    const seen = [];
    for (const mode of Object.keys(TRANSPORTS)) {
      const socket = io(url, { transports: TRANSPORTS[mode], forceNew: true, reconnection: false, autoConnect: false });
      const failed = next(socket, 'connect_error');
      for (const event of ['connect', 'auth']) socket.on(event, () => seen.push([mode, event]));
      socket.connect();
      socket.io.engine.on('packet', ({ type }) => seen.push([mode, type]));
      await failed;
      socket.disconnect();
    }
    const endpoint = `${url}/socket.io/?EIO=4&transport=polling`;
    for (const method of ['GET', 'POST']) {
      await fetch(endpoint, { method, credentials: 'include' }).then((r) => seen.push([method, r.status]), () => {});
    }
    const ws = new WebSocket(`${endpoint.replace('http', 'ws').replace('polling', 'websocket')}`);
    for (const event of ['open', 'message']) ws.addEventListener(event, () => seen.push(['WebSocket', event]));
    await within(new Promise((resolve) => { ws.addEventListener('close', resolve); }), 'close');
    return seen;
  },

  // The service: the connection, and what it says first.
  async service(url, mode, token) {
    const socket = io(url, { transports: TRANSPORTS[mode], forceNew: true, reconnection: false, auth: { token } });
    const [data] = await next(socket, 'connected');
    socket.disconnect();
    return data;
  },
};

actions.values = {
  text: () => ['hello', '', 'é😀👩‍👩‍👧‍👦', 'a\u001eb\n', null, { nested: [1, 2.5, { deep: true }] }],
  arrayBuffer: () => [new Uint8Array([0, 1, 2, 30, 10, 255]).buffer, new ArrayBuffer(0)],
  typedArray: () => [new Uint8Array([1, 2, 3, 4]).subarray(1, 3), new Uint16Array([513])],
  blob: () => [new Blob([new Uint8Array([7, 8, 9])]), 'and text'],
  nested: () => [{ a: [new Uint8Array([1]).buffer, { b: new Blob(['é']) }], c: 'd' }, [new Uint8Array([2])]],
  large: () => ['é😀'.repeat(20000), new Uint8Array(100000).fill(30).buffer],
};

window.actions = actions;
