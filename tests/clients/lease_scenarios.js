'use strict';
// node lease_scenarios.js LIBRARY MODE URL JWT_SECRET API_KEY: what clients see of the life of their tokens.
// The service warns two seconds before the end of a token and disconnects half a second after it.

const assert = require('node:assert/strict');
const { Connections } = require('./lib/connections');
const { ask, collect, next, run, scenario } = require('./lib/scenarios');
const { mint } = require('./lib/token');

const [library, mode, url, secret, apiKey] = process.argv.slice(2);
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
let users = 0;

const fresh = () => {
  users += 1;
  return `user-${process.pid}-${users}`;
};

async function revoke(body) {
  const response = await fetch(`${url}/revoke`, {
    method: 'POST',
    headers: { 'X-API-Key': apiKey, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200);
  return (await response.json()).data.disconnected;
}

scenario('it is warned, told, and disconnected for good', async (connections) => {
  const token = mint(secret, { userId: fresh() }, 4);
  const socket = await connections.join('/', { auth: { token } });
  const left = next(socket, 'disconnect');
  const [warning] = await next(socket, 'auth:expiring');
  assert.match(warning.expiresAt, ISO);
  assert.match(warning.timestamp, ISO);
  assert.ok(warning.expiresIn > 0 && warning.expiresIn <= 2, JSON.stringify(warning));
  const [end] = await next(socket, 'auth:expired');
  assert.equal(end.code, 'token_expired');
  assert.equal(end.expiresAt, warning.expiresAt);
  assert.ok(Date.parse(end.timestamp) >= Date.parse(end.expiresAt) + 500, JSON.stringify(end));
  assert.equal((await left)[0], 'io server disconnect');
  assert.equal(socket.active, false);
});

scenario('with a new token it stays', async (connections) => {
  const userId = fresh();
  const token = mint(secret, { userId, companyId: 'c1' }, 4);
  const [socket, witness] = [
    await connections.join('/', { auth: { token } }), await connections.join('/', { auth: { token } }),
  ];
  const [disconnected, witnessLeft] = [collect(socket, 'disconnect'), next(witness, 'disconnect')];
  await next(socket, 'auth:expiring');
  const renewed = mint(secret, { userId, companyId: 'c2' }, 60);
  const [answer] = await ask(socket, 'refresh_token', renewed);
  assert.equal(answer.success, true, JSON.stringify(answer));
  assert.equal(Date.parse(answer.expiresAt), JSON.parse(Buffer.from(renewed.split('.')[1], 'base64url')).exp * 1000);
  assert.equal((await witnessLeft)[0], 'io server disconnect');
  const [still] = await ask(socket, 'join_room', 'a room');
  assert.equal(still.success, true);
  assert.deepStrictEqual(disconnected, []);
});

scenario('a token that is not good for it changes nothing', async (connections) => {
  const socket = await connections.join('/', { auth: { token: mint(secret, { userId: fresh() }) } });
  const codes = {};
  for (const [name, token] of Object.entries({
    'of another': mint(secret, { userId: fresh() }), forged: mint(`${secret}x`, {}), expired: mint(secret, {}, -10), none: null,
  })) {
    const [answer] = await ask(socket, 'refresh_token', { token });
    codes[name] = answer.error.code;
  }
  assert.deepStrictEqual(codes, {
    'of another': 'forbidden', forged: 'token_invalid', expired: 'token_expired', none: 'bad_request',
  });
  assert.equal(socket.connected, true);
});

scenario('after the end it comes back with a new token', async (connections) => {
  const userId = fresh();
  const auth = { token: mint(secret, { userId }, 1) };
  const socket = await connections.join('/', { auth });
  assert.equal((await next(socket, 'disconnect'))[0], 'io server disconnect');
  const refused = next(socket, 'connect_error');
  socket.connect();
  assert.deepStrictEqual((await refused)[0].data, { code: 'token_expired' });
  auth.token = mint(secret, { userId });
  const connected = next(socket, 'connected');
  socket.connect();
  assert.equal((await connected)[0].userId, userId);
});

scenario('a revoked token ends at once and lets nobody in', async (connections) => {
  const userId = fresh();
  const token = mint(secret, { userId, iat: Math.floor(Date.now() / 1000) - 60 });
  const [socket, other] = [
    await connections.join('/', { auth: { token } }),
    await connections.join('/', { auth: { token: mint(secret, { userId: fresh() }) } }),
  ];
  const [told, left] = [next(socket, 'auth:revoked'), next(socket, 'disconnect')];
  assert.equal(await revoke({ user: userId }), 1);
  assert.equal((await told)[0].code, 'token_revoked');
  assert.equal((await left)[0], 'io server disconnect');
  const refused = next(socket, 'connect_error');
  socket.connect();
  const [error] = await refused;
  assert.equal(error.message, 'Invalid or expired token');
  assert.deepStrictEqual(error.data, { code: 'token_revoked' });
  assert.equal(other.connected, true);
});

run({
  mode,
  before: () => new Connections({ library, url, mode }),
  after: (connections) => connections.close(),
});
