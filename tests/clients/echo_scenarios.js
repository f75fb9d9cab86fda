'use strict';
// node echo_scenarios.js LIBRARY MODE URL: everything a client can ask of examples/echo.py.

const assert = require('node:assert/strict');
const { Connections } = require('./lib/connections');
const { Relay } = require('./lib/relay');
const { ask, collect, next, run, scenario } = require('./lib/scenarios');

const [library, mode, url] = process.argv.slice(2);

// Sends the arguments as a message and as a request; both must come back as they went.
async function echoes(clients, ...args) {
  const socket = await clients.join();
  const back = next(socket, 'message-back');
  socket.emit('message', ...args);
  assert.deepStrictEqual(await back, args);
  assert.deepStrictEqual(await ask(socket, 'message-with-ack', ...args), args);
  assert.equal(socket.connected, true);
}

scenario('the transport is the one asked for', async (clients) => {
  const manager = clients.manager();
  const socket = manager.socket('/');
  const joined = clients.joined(socket);
  socket.connect();
  assert.equal(manager.engine.transport.name, mode === 'websocket' ? 'websocket' : 'polling');
  await joined;
  await clients.settled(socket);
  assert.match(socket.id, /^[A-Za-z0-9_-]{20}$/);
  assert.notEqual(socket.id, manager.engine.id);
});

scenario('the auth payload comes back on both namespaces', async (clients) => {
  const manager = clients.manager();
  for (const namespace of ['/', '/custom']) {
    const socket = manager.socket(namespace, { auth: { token: 'abc', nested: { list: [1, 'é', null] } } });
    const auth = next(socket, 'auth');
    socket.connect();
    assert.deepStrictEqual(await auth, [{ token: 'abc', nested: { list: [1, 'é', null] } }]);
  }
});

scenario('no auth payload is an empty object', async (clients) => {
  const manager = clients.manager();
  for (const namespace of ['/', '/custom']) {
    const socket = manager.socket(namespace);
    const auth = next(socket, 'auth');
    socket.connect();
    assert.deepStrictEqual(await auth, [{}]);
  }
});

scenario('text', (clients) => echoes(clients, 'hello', 'world'));
scenario('no arguments', (clients) => echoes(clients));
scenario('many arguments', (clients) => echoes(clients, ...Array.from({ length: 200 }, (_, n) => `argument ${n}`)));
scenario('empty strings', (clients) => echoes(clients, '', ['', ''], { '': '' }));
scenario('unicode', (clients) => echoes(clients, 'é ß Ω 漢字 ไทย العربية', '\u2028\u2029\u00a0\ufeff', 'e\u0301'));
scenario('unicode beyond the BMP', (clients) => echoes(clients, '😀', '👩‍👩‍👧‍👦 𝔘𝔫𝔦', { '🔑': '🚀'.repeat(1000) }));
scenario('newlines and separators inside strings', (clients) => echoes(
  clients, '\n', '\r\n', '\u001e', 'a\u001eb\u001e', '\u0000\u0001\u007f', '\t"\\\'/', { 'k\u001e\n': '\u001e' },
));
scenario('strings that look like packets', (clients) => echoes(
  clients, '2probe', '40', '42["x"]', 'bAAAA', '451-["x",{"_placeholder":true,"num":0}]', '/custom,', '-', '1',
));
scenario('null and nested JSON', (clients) => echoes(
  clients, null, true, false, [], {}, [null, [null, [[]]]], { a: { b: { c: [{ d: null }, { e: [1, { f: 'g' }] }] } } },
));
scenario('deeply nested JSON', (clients) => {
  let value = 'bottom';
  for (let depth = 0; depth < 50; depth += 1) value = depth % 2 ? [value] : { value };
  return echoes(clients, value);
});
scenario('numbers', (clients) => echoes(
  clients, 0, -1, 1.5, -0.1, 1e21, 1.7976931348623157e308, 5e-324, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER,
  0.1 + 0.2, 4294967296, -2147483649, 1e-7, 123456789.123456789,
));
scenario('a first argument that is a number', (clients) => echoes(clients, 7, [1, 2.25, -3]));

scenario('binary', (clients) => echoes(clients, Buffer.from([0, 1, 2, 3, 0x1e, 0x0a, 0xff])));
scenario('an empty buffer', (clients) => echoes(clients, Buffer.alloc(0)));
scenario('every byte', (clients) => echoes(clients, Buffer.from(Array.from({ length: 256 }, (_, n) => n))));
scenario('several buffers', (clients) => echoes(
  clients, Buffer.from('one'), 'two', Buffer.from('three'), Buffer.alloc(0), 4, Buffer.from('five'),
));
scenario('buffers inside objects and arrays', (clients) => echoes(
  clients, { a: Buffer.from('a'), list: [Buffer.from('b'), { deep: [[Buffer.from('c')]] }], text: 'd' }, [Buffer.from('e')],
));
scenario('as many buffers as a packet may hold', (clients) => echoes(
  clients, Array.from({ length: 10 }, (_, n) => Buffer.alloc(n, n)),
));
scenario('typed arrays', async (clients) => {
  const socket = await clients.join();
  const bytes = new Uint8Array([9, 8, 7]);
  assert.deepStrictEqual(await ask(socket, 'message-with-ack', bytes), [Buffer.from([9, 8, 7])]);
  assert.deepStrictEqual(await ask(socket, 'message-with-ack', bytes.buffer), [Buffer.from([9, 8, 7])]);
});
scenario('binary and text in turn keep their order', async (clients) => {
  const socket = await clients.join();
  const sent = Array.from({ length: 100 }, (_, n) => [n, n % 3 ? `text ${n}` : Buffer.from(`binary ${n}`)]);
  const got = collect(socket, 'message-back');
  const last = next(socket, 'message-back', (n) => n === 99);
  for (const args of sent) socket.emit('message', ...args);
  await last;
  assert.deepStrictEqual(got, sent);
});

scenario('acknowledgements answer the request they belong to', async (clients) => {
  const socket = await clients.join();
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  const answers = await Promise.all(numbers.map((n) => ask(socket, 'message-with-ack', n, n % 2 ? Buffer.from([n]) : 'text')));
  assert.deepStrictEqual(answers, numbers.map((n) => [n, n % 2 ? Buffer.from([n]) : 'text']));
});

scenario('100 KB of text', (clients) => echoes(clients, 'abcdé😀\n'.repeat(Math.ceil(100_000 / 12))));
scenario('100 KB of binary', (clients) => echoes(clients, Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n * 7919) % 256))));
scenario('a message too big ends the connection, and the client comes back', async (clients) => {
  const socket = await clients.join();
  const first = socket.id;
  const back = collect(socket, 'message-back');
  const left = next(socket, 'disconnect');
  const again = next(socket, 'connect');
  socket.emit('message', 'x'.repeat(1_100_000));
  const [reason] = await left;
  assert.ok(['transport error', 'transport close'].includes(reason), reason);
  await again;
  assert.notEqual(socket.id, first);
  assert.deepStrictEqual(await ask(socket, 'message-with-ack', 'still here'), ['still here']);
  assert.deepStrictEqual(back, []);
});

scenario('several namespaces on one connection', async (clients) => {
  const manager = clients.manager();
  const root = manager.socket('/');
  const custom = manager.socket('/custom', { auth: { who: 'custom' } });
  const payloads = Promise.all([next(root, 'auth'), next(custom, 'auth')]);
  const joined = Promise.all([clients.joined(root), clients.joined(custom)]);
  root.connect();
  custom.connect();
  assert.deepStrictEqual(await payloads, [[{}], [{ who: 'custom' }]]);
  await joined;
  assert.notEqual(root.id, custom.id);
  const strays = collect(custom, 'message-back');
  assert.deepStrictEqual(await ask(root, 'message-with-ack', Buffer.from('a')), [Buffer.from('a')]);
  const back = next(root, 'message-back');
  root.emit('message', 'only for the root');
  assert.deepStrictEqual(await back, ['only for the root']);
  assert.deepStrictEqual(strays, []);
});

scenario('leaving one namespace keeps the other', async (clients) => {
  const manager = clients.manager();
  const root = manager.socket('/');
  const custom = manager.socket('/custom');
  const joined = Promise.all([clients.joined(root), clients.joined(custom)]);
  root.connect();
  custom.connect();
  await joined;
  const left = next(custom, 'disconnect');
  custom.disconnect();
  assert.equal((await left)[0], 'io client disconnect');
  assert.deepStrictEqual(await ask(root, 'message-with-ack', 1), [1]);
  const auth = next(custom, 'auth');
  custom.auth = { again: true };
  custom.connect();
  assert.deepStrictEqual(await auth, [{ again: true }]);
  assert.equal(root.connected, true);
});

scenario('an unknown namespace is refused and the others go on', async (clients) => {
  const manager = clients.manager();
  const root = manager.socket('/');
  const unknown = manager.socket('/unknown');
  const refused = next(unknown, 'connect_error');
  const joined = clients.joined(root);
  root.connect();
  unknown.connect();
  const [error] = await refused;
  assert.ok(error instanceof Error);
  assert.equal(error.message, 'Invalid namespace');
  assert.equal(unknown.connected, false);
  await joined;
  assert.deepStrictEqual(await ask(root, 'message-with-ack', 'here'), ['here']);
});

scenario('disconnecting and connecting again gives a new id', async (clients) => {
  const socket = clients.manager().socket('/', { auth: { round: 1 } });
  const greeting = next(socket, 'auth');
  socket.connect();
  assert.deepStrictEqual(await greeting, [{ round: 1 }]);
  await clients.settled(socket);
  const first = socket.id;
  const left = next(socket, 'disconnect');
  socket.disconnect();
  assert.equal((await left)[0], 'io client disconnect');
  const [auth, joined] = [next(socket, 'auth'), next(socket, 'connect')];
  socket.auth = { round: 2 };
  socket.connect();
  await joined;
  assert.deepStrictEqual(await auth, [{ round: 2 }]);
  assert.notEqual(socket.id, first);
  await clients.settled(socket);
  assert.deepStrictEqual(await ask(socket, 'message-with-ack', 'again'), ['again']);
});

scenario('a lost connection is made again', async (clients) => {
  const socket = await clients.join();
  const first = socket.id;
  const [left, again] = [next(socket, 'disconnect'), next(socket, 'connect')];
  socket.io.engine.close();
  assert.equal((await left)[0], 'forced close');
  await again;
  assert.notEqual(socket.id, first);
  assert.deepStrictEqual(await ask(socket, 'message-with-ack', 'again'), ['again']);
});

scenario('heartbeats keep an idle connection', async (clients) => {
  const socket = await clients.join();
  const lost = collect(socket, 'disconnect');
  for (let beats = 0; beats < 2; beats += 1) await next(socket.io.engine, 'packet', ({ type }) => type === 'ping');
  assert.deepStrictEqual(lost, []);
  assert.deepStrictEqual(await ask(socket, 'message-with-ack', 'alive'), ['alive']);
});

scenario('what is sent before the connection is made arrives', async (clients) => {
  const socket = clients.manager().socket('/');
  const got = collect(socket, 'message-back');
  const last = next(socket, 'message-back', (n) => n === 9);
  socket.connect();
  for (let n = 0; n < 10; n += 1) socket.emit('message', n, Buffer.from([n]));
  await last;
  assert.deepStrictEqual(got, Array.from({ length: 10 }, (_, n) => [n, Buffer.from([n])]));
});

scenario('a thousand messages arrive in order exactly once', async (clients) => {
  const relay = new Relay(url);
  clients.url = await relay.listen();
  if (mode !== 'upgrade') relay.release();
  try {
    const socket = await clients.join('/', { settle: false });
    const { engine } = socket.io;
    const got = collect(socket, 'message-back');
    const last = next(socket, 'message-back', (n) => n === 999);
    let sent = 0;
    const emit = () => {
      socket.emit('message', sent, sent % 10 ? `text ${sent}` : Buffer.from(`binary ${sent}`));
      sent += 1;
    };
    const around = { sent: 0, got: 0 };
    let moved = mode !== 'upgrade';
    engine.once('upgrade', () => {
      moved = true;
      Object.assign(around, { sent, got: got.length });
    });
    const early = next(socket, 'message-back');
    while (sent < 300) emit();
    await early;
    relay.release();
    while (sent < 1000) {
      // One by one while the connection is on its way to WebSocket, keeping some for afterwards.
      if (!moved && sent >= 900) await next(engine, 'upgrade');
      emit();
      if (!moved) await new Promise((resolve) => { setImmediate(resolve); });
    }
    await last;
    assert.deepStrictEqual(await ask(socket, 'message-with-ack', 'nothing after this'), ['nothing after this']);
    assert.deepStrictEqual(got.map(([n]) => n), Array.from({ length: 1000 }, (_, n) => n));
    assert.deepStrictEqual(got.filter(([n, data]) => Buffer.isBuffer(data) !== (n % 10 === 0)), []);
    assert.ok(got.every(([n, data]) => String(data) === (n % 10 ? `text ${n}` : `binary ${n}`)));
    await clients.settled(socket);
    if (mode === 'upgrade') {
      assert.ok(around.sent >= 300 && around.sent < 1000, `${around.sent} sent before the upgrade`);
      assert.ok(around.got >= 1 && around.got < 1000, `${around.got} received before the upgrade`);
    }
  } finally {
    relay.close();
  }
});

run({
  mode,
  before: () => new Connections({ library, url, mode }),
  after: (clients) => clients.close(),
});
