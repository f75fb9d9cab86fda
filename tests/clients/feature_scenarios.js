'use strict';
// node feature_scenarios.js LIBRARY MODE URL: what clients see of rooms, acknowledgements, middleware and disconnections.

const assert = require('node:assert/strict');
const { Connections } = require('./lib/connections');
const { Relay } = require('./lib/relay');
const { ask, collect, next, run, scenario } = require('./lib/scenarios');

const [library, mode, url] = process.argv.slice(2);

function crowd(clients, count) {
  return Promise.all(Array.from({ length: count }, () => clients.join()));
}

// How often each socket hears `news` of what the first one makes the server do; whatever comes late comes before `end`.
async function heard(sockets, ...command) {
  const news = sockets.map((socket) => collect(socket, 'news'));
  const ends = Promise.all(sockets.map((socket) => next(socket, 'end')));
  sockets[0].emit(...command, 'news', { n: 1 }, Buffer.from('news'));
  sockets[0].emit('io-emit', 'end');
  await ends;
  for (const args of news.flat()) assert.deepStrictEqual(args, [{ n: 1 }, Buffer.from('news')]);
  sockets.forEach((socket) => socket.off('news'));
  return news.map((list) => list.length);
}

scenario('the handshake is visible', async (clients) => {
  const socket = await clients.join('/', {
    auth: { token: 't' }, query: { probe: 'a b&c=ü' }, extraHeaders: { 'X-Probe': 'header' },
  });
  assert.deepStrictEqual(await ask(socket, 'who'), [{
    id: socket.id, rooms: [socket.id], auth: { token: 't' }, cookie: null, header: 'header', probe: 'a b&c=ü',
  }]);
});

scenario('joining and leaving rooms', async (clients) => {
  const socket = await clients.join();
  assert.deepStrictEqual(await ask(socket, 'join', 'one'), [[socket.id, 'one'].sort()]);
  assert.deepStrictEqual(await ask(socket, 'join', 'two'), [[socket.id, 'one', 'two'].sort()]);
  assert.deepStrictEqual(await ask(socket, 'join', 'two'), [[socket.id, 'one', 'two'].sort()]);
  assert.deepStrictEqual(await ask(socket, 'leave', 'one'), [[socket.id, 'two'].sort()]);
  assert.deepStrictEqual(await ask(socket, 'leave', 'never joined'), [[socket.id, 'two'].sort()]);
});

scenario('to a room, without the sender', async (clients) => {
  const sockets = await crowd(clients, 4);
  for (const socket of sockets.slice(0, 3)) await ask(socket, 'join', 'room 1');
  assert.deepStrictEqual(await heard(sockets, 'to', ['room 1']), [0, 1, 1, 0]);
  await ask(sockets[2], 'leave', 'room 1');
  assert.deepStrictEqual(await heard(sockets, 'to', ['room 1']), [0, 1, 0, 0]);
});

scenario('to several rooms, once each', async (clients) => {
  const sockets = await crowd(clients, 4);
  await ask(sockets[1], 'join', 'room 2a');
  await ask(sockets[2], 'join', 'room 2a');
  await ask(sockets[2], 'join', 'room 2b');
  assert.deepStrictEqual(await heard(sockets, 'io-to', ['room 2a', 'room 2b']), [0, 1, 1, 0]);
  assert.deepStrictEqual(await heard(sockets, 'to', ['room 2b', 'room 2a']), [0, 1, 1, 0]);
});

scenario('to a room except another', async (clients) => {
  const sockets = await crowd(clients, 4);
  for (const socket of sockets) await ask(socket, 'join', 'room 3');
  await ask(sockets[2], 'join', 'room 3 quiet');
  assert.deepStrictEqual(await heard(sockets, 'to-except', 'room 3', 'room 3 quiet'), [0, 1, 0, 1]);
  assert.deepStrictEqual(await heard(sockets, 'io-except', 'room 3 quiet'), [1, 1, 0, 1]);
});

scenario('to one socket by its id', async (clients) => {
  const sockets = await crowd(clients, 3);
  assert.deepStrictEqual(await heard(sockets, 'to', [sockets[1].id]), [0, 1, 0]);
  assert.deepStrictEqual(await heard(sockets, 'io-to', [sockets[0].id, sockets[2].id]), [1, 0, 1]);
});

scenario('to a room that nobody is in', async (clients) => {
  const sockets = await crowd(clients, 2);
  assert.deepStrictEqual(await heard(sockets, 'io-to', ['nobody here']), [0, 0]);
});

scenario('to everyone, with and without the sender', async (clients) => {
  const sockets = await crowd(clients, 3);
  assert.deepStrictEqual(await heard(sockets, 'broadcast'), [0, 1, 1]);
  assert.deepStrictEqual(await heard(sockets, 'io-emit'), [1, 1, 1]);
});

scenario('rooms of different namespaces do not mix', async (clients) => {
  const [root] = await crowd(clients, 1);
  await ask(root, 'join', 'shared');
  const other = await clients.join('/other');
  const strays = [collect(root, 'news'), collect(other, 'drop')];
  const got = next(other, 'news');
  other.emit('all', 'news', Buffer.from('other'));
  assert.deepStrictEqual(await got, [Buffer.from('other')]);
  const drop = next(root, 'drop');
  root.emit('io-to', ['shared'], 'drop', 1);
  await drop;
  const barrier = next(other, 'end');
  other.emit('all', 'end');
  await barrier;
  assert.deepStrictEqual(strays, [[], []]);
});

scenario('volatile messages reach a client that is ready', ['websocket', 'upgrade'], async (clients) => {
  const socket = await clients.join();
  const got = next(socket, 'news');
  socket.emit('volatile', 'news', 'now', Buffer.from('or never'));
  assert.deepStrictEqual(await got, ['now', Buffer.from('or never')]);
});

scenario('volatile messages are dropped while no poll waits', ['polling'], async () => {
  const endpoint = `${url}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await (await fetch(endpoint)).text()).slice(1));
  const session = `${endpoint}&sid=${sid}`;
  const post = async (body) => assert.equal(await (await fetch(session, { method: 'POST', body })).text(), 'ok');
  await post('40');
  assert.match(await (await fetch(session)).text(), /^40\{"sid"/);
  await post('42["volatile","news","lost"]\u001e42["message","kept"]');
  assert.equal(await (await fetch(session)).text(), '42["message-back","kept"]');
  await post('1');
});

scenario('the server asks and the client answers', async (clients) => {
  const socket = await clients.join();
  socket.on('question', (text, bytes, answer) => answer(`${text}!`, { bytes: [bytes] }));
  const [{ answer }] = await ask(socket, 'ask-me', 5, 'question', 'well', Buffer.from([1]));
  assert.equal(answer, 'well!');
  socket.off('question');
  socket.on('question', (text, bytes, reply) => reply({ text, bytes: [bytes, Buffer.alloc(0)] }));
  assert.deepStrictEqual(await ask(socket, 'ask-me', 5, 'question', '😀', Buffer.from([2])), [
    { answer: { text: '😀', bytes: [Buffer.from([2]), Buffer.alloc(0)] } },
  ]);
});

scenario('the server asks many questions at once', async (clients) => {
  const socket = await clients.join();
  const waiting = [];
  socket.on('question', (n, answer) => {
    waiting.push(() => answer(n * 2));
    if (waiting.length === 20) waiting.reverse().forEach((go) => go());
  });
  const [answers] = await ask(socket, 'ask-many', 20, 'question');
  assert.deepStrictEqual(answers, Array.from({ length: 20 }, (_, n) => n * 2));
});

scenario('a question inside a question', async (clients) => {
  const socket = await clients.join();
  socket.on('question', (value, answer) => answer([value, value]));
  assert.deepStrictEqual(await ask(socket, 'later', 'x'), [['x', 'x']]);
});

scenario('the server gives up on a client that does not answer', async (clients) => {
  const socket = await clients.join();
  const questions = collect(socket, 'question');
  assert.deepStrictEqual(await ask(socket, 'ask-me', 0.05, 'question', 1), [{ error: 'operation has timed out' }]);
  assert.equal(questions.length, 1);
  questions[0][1]('too late');
  socket.on('question', (n, answer) => { answer(n); answer('twice'); });
  assert.deepStrictEqual(await ask(socket, 'ask-me', 5, 'question', 2), [{ answer: 2 }]);
});

scenario('a room is asked and everyone answers', async (clients) => {
  const sockets = await crowd(clients, 3);
  for (const [n, socket] of sockets.entries()) {
    await ask(socket, 'join', 'room 4');
    socket.on('question', (base, answer) => answer(base + n));
  }
  const [{ answers }] = await ask(sockets[0], 'ask-room', 'room 4', 5, 'question', 10);
  assert.deepStrictEqual(answers.sort(), [10, 11, 12]);
  assert.deepStrictEqual(await ask(sockets[0], 'ask-room', 'room nobody', 5, 'question', 10), [{ answers: [] }]);
});

scenario('a room is asked and one does not answer', async (clients) => {
  const sockets = await crowd(clients, 3);
  for (const [n, socket] of sockets.entries()) {
    await ask(socket, 'join', 'room 5');
    if (n > 0) socket.on('question', (answer) => answer({ n, bytes: Buffer.from([n]) }));
  }
  const [{ error, answers }] = await ask(sockets[0], 'ask-room', 'room 5', 1, 'question');
  assert.equal(error, 'operation has timed out');
  assert.deepStrictEqual(answers.sort((a, b) => a.n - b.n), [
    { n: 1, bytes: Buffer.from([1]) }, { n: 2, bytes: Buffer.from([2]) },
  ]);
});

scenario('rooms are joined and left for others', async (clients) => {
  const sockets = await crowd(clients, 3);
  for (const socket of sockets.slice(0, 2)) await ask(socket, 'join', 'room 6');
  await ask(sockets[2], 'in-join', 'room 6', 'room 6 new');
  assert.deepStrictEqual(await heard(sockets, 'io-to', ['room 6 new']), [1, 1, 0]);
  assert.deepStrictEqual(
    await ask(sockets[2], 'in-fetch', 'room 6 new'), [sockets.slice(0, 2).map(({ id }) => id).sort()],
  );
  await ask(sockets[2], 'in-leave', sockets[0].id, 'room 6 new');
  assert.deepStrictEqual(await heard(sockets, 'io-to', ['room 6 new']), [0, 1, 0]);
  assert.deepStrictEqual(await ask(sockets[2], 'in-fetch', 'room 6 new'), [[sockets[1].id]]);
});

scenario('a middleware refuses with a message and data', async (clients) => {
  const socket = clients.manager().socket('/guarded', { auth: { refuse: 'with data' } });
  const welcomes = collect(socket, 'welcome');
  const refused = next(socket, 'connect_error');
  socket.connect();
  const [error] = await refused;
  assert.ok(error instanceof Error);
  assert.equal(error.message, 'no entry');
  assert.deepStrictEqual(error.data, { code: 'closed', list: [1, null, 'é'] });
  assert.equal(socket.connected, false);
  assert.deepStrictEqual(welcomes, []);
  const welcome = next(socket, 'welcome');
  socket.auth = {};
  socket.connect();
  assert.deepStrictEqual(await welcome, [{ first: true }]);
});

scenario('a middleware refuses without data', async (clients) => {
  const socket = clients.manager().socket('/guarded', { auth: { refuse: 'without data' } });
  const refused = next(socket, 'connect_error');
  socket.connect();
  const [error] = await refused;
  assert.equal(error.message, 'no reason');
  assert.equal(error.data, undefined);
});

scenario('the second middleware refuses after waiting', async (clients) => {
  const manager = clients.manager();
  const root = manager.socket('/');
  const guarded = manager.socket('/guarded', { auth: { refuse: 'later' } });
  const refused = next(guarded, 'connect_error');
  const joined = clients.joined(root);
  root.connect();
  guarded.connect();
  const [error] = await refused;
  assert.equal(error.message, 'refused later');
  assert.deepStrictEqual(error.data, { first: true });
  await joined;
  assert.deepStrictEqual(await ask(root, 'seen'), [['seen']]);
});

scenario('a refused socket hears nothing', async (clients) => {
  const manager = clients.manager();
  const root = manager.socket('/');
  const joined = clients.joined(root);
  root.connect();
  await joined;
  const refused = manager.socket('/guarded', { auth: { refuse: 'with data' } });
  const strays = [collect(refused, 'somebody entered'), collect(refused, 'welcome'), collect(refused, 'connect')];
  const no = next(refused, 'connect_error');
  refused.connect();
  await no;
  const welcomed = clients.manager().socket('/guarded');
  const entered = next(welcomed, 'somebody entered');
  welcomed.connect();
  await entered;
  await ask(root, 'who');
  assert.deepStrictEqual(strays, [[], [], []]);
});

scenario('a socket middleware sees events and stops some', async (clients) => {
  const socket = await clients.join();
  const handled = collect(socket, 'forbidden-was-handled');
  socket.emit('forbidden', 1);
  socket.emit('nobody handles this', Buffer.from('x'));
  assert.deepStrictEqual(await ask(socket, 'seen'), [['forbidden', 'nobody handles this', 'seen']]);
  assert.deepStrictEqual(handled, []);
});

scenario('a handler that fails harms nobody', async (clients) => {
  const socket = await clients.join();
  socket.emit('fail', 1);
  assert.deepStrictEqual(await ask(socket, 'seen'), [['fail', 'seen']]);
});

// The watcher learns how the connection of `socket` ended for the server.
async function ending(clients, act) {
  const watcher = await clients.join();
  await ask(watcher, 'join', 'watchers');
  const socket = await clients.join('/', { reconnection: false });
  await ask(socket, 'join', 'room 7');
  const { id } = socket;
  const gone = next(watcher, 'gone', (who) => who.id === id);
  const left = next(socket, 'disconnect');
  await act(socket, watcher);
  const [reason] = await left;
  const [end] = await gone;
  assert.deepStrictEqual(end.rooms, [id, 'room 7'].sort());
  assert.deepStrictEqual(end.after, []);
  assert.deepStrictEqual(await ask(watcher, 'in-fetch', 'room 7'), [[]]);
  return [reason, end.reason];
}

scenario('the client leaves', async (clients) => {
  assert.deepStrictEqual(await ending(clients, (socket) => socket.disconnect()), [
    'io client disconnect', 'client namespace disconnect',
  ]);
});

scenario('the client closes the connection', async (clients) => {
  assert.deepStrictEqual(await ending(clients, (socket) => socket.io.engine.close()), ['forced close', 'transport close']);
});

scenario('the server ends the namespace', async (clients) => {
  assert.deepStrictEqual(await ending(clients, (socket) => socket.emit('leave-server', false)), [
    'io server disconnect', 'server namespace disconnect',
  ]);
});

scenario('the server ends the connection', async (clients) => {
  assert.deepStrictEqual(await ending(clients, (socket) => socket.emit('leave-server', true)), [
    'io server disconnect', 'server namespace disconnect',
  ]);
});

scenario('the server ends the connections of a room', async (clients) => {
  assert.deepStrictEqual(await ending(clients, (_, watcher) => watcher.emit('in-disconnect', 'room 7', false)), [
    'io server disconnect', 'server namespace disconnect',
  ]);
  assert.deepStrictEqual(await ending(clients, (_, watcher) => watcher.emit('in-disconnect', 'room 7', true)), [
    'io server disconnect', 'server namespace disconnect',
  ]);
});

scenario('a client that the server ends does not come back by itself', async (clients) => {
  const socket = await clients.join();
  const attempts = collect(socket.io, 'reconnect_attempt');
  const left = next(socket, 'disconnect');
  socket.emit('leave-server', false);
  assert.equal((await left)[0], 'io server disconnect');
  assert.equal(socket.active, false);
  assert.deepStrictEqual(attempts, []);
  const joined = clients.joined(socket);
  socket.connect();
  await joined;
  assert.deepStrictEqual(await ask(socket, 'seen'), [['seen']]);
});

scenario('what is emitted just before the end arrives', async (clients) => {
  for (const close of [false, true]) {
    const socket = await clients.join();
    const [words, left] = [next(socket, 'last words'), next(socket, 'disconnect')];
    socket.emit('emit-and-leave', close);
    assert.deepStrictEqual(await words, [Buffer.from('bye')]);
    assert.equal((await left)[0], 'io server disconnect');
  }
});

scenario('ending one namespace keeps the other, ending the connection ends both', async (clients) => {
  for (const close of [false, true]) {
    const manager = clients.manager();
    const [root, other] = ['/', '/other'].map((namespace) => manager.socket(namespace));
    const joined = Promise.all([clients.joined(root), clients.joined(other)]);
    root.connect();
    other.connect();
    await joined;
    const ends = [next(root, 'disconnect'), close ? next(other, 'disconnect') : next(other, 'still')];
    root.emit('leave-server', close);
    assert.equal((await ends[0])[0], 'io server disconnect');
    if (close) {
      assert.equal((await ends[1])[0], 'io server disconnect');
    } else {
      other.emit('all', 'still', 'here');
      assert.deepStrictEqual(await ends[1], ['here']);
    }
  }
});

scenario('a thousand messages from the server arrive in order exactly once', async (clients) => {
  const relay = new Relay(url);
  clients.url = await relay.listen();
  try {
    if (mode !== 'upgrade') relay.release();
    const socket = await clients.join('/', { settle: false });
    let before = null;
    const drops = collect(socket, 'drop');
    socket.io.engine.once('upgrade', () => { before = drops.length; });
    const [first, last] = [next(socket, 'drop'), next(socket, 'drop', (n) => n === 999)];
    // Numbers that go out while the connection moves to WebSocket, and some afterwards.
    socket.emit('flood', 700);
    await first;
    relay.release();
    await clients.settled(socket);
    socket.emit('flood', 1000);
    await last;
    await ask(socket, 'seen');
    assert.deepStrictEqual(drops.map(([n]) => n), Array.from({ length: 1000 }, (_, n) => n));
    if (mode === 'upgrade') assert.ok(before !== null && before >= 1 && before < 1000, `${before} received before the upgrade`);
  } finally {
    relay.close();
  }
});

run({
  mode,
  before: () => new Connections({ library, url, mode }),
  after: (clients) => clients.close(),
});
