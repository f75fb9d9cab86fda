'use strict';
// node seed_scenarios.js PORT JWT_SECRET API_KEY: the integration examples against the service.

const assert = require('node:assert/strict');
const ioClient = require('socket.io-client');
const { mint } = require('./lib/token');
const snippets = require('./lib/snippets');
const { ask, collect, next, run, scenario, within } = require('./lib/scenarios');

const [port, secret, apiKey] = process.argv.slice(2);
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
// Who owns the order of the examples, whose id stands in them.
const OWNER = 'customer-of-order-123';
let names = 0;

// Each scenario has people, shops and things of its own: one service serves them all.
const fresh = (kind) => {
  names += 1;
  return `${kind}-${process.pid}-${names}`;
};

class World {
  constructor() {
    this.sockets = [];
    this.cleanups = [];
    // The client as the examples see it, with every socket remembered to be closed at the end.
    this.io = (...args) => {
      const socket = ioClient.io(...args);
      this.sockets.push(socket);
      return socket;
    };
    this.module = Object.assign((...args) => this.io(...args), { io: (...args) => this.io(...args), default: this.io });
  }

  // The socket of the connection example, with a real token in the place of the placeholder.
  connect(token) {
    const io = (url, options) => {
      assert.deepStrictEqual(options, { auth: { token: 'your-jwt-token' } });
      return this.io(url, { ...options, auth: { token } });
    };
    return snippets.run('connect.js', port, { io }, 'socket');
  }

  // The same, once it is connected: [socket, what `connected` said].
  async join(claims) {
    const socket = this.connect(mint(secret, claims));
    const [data] = await next(socket, 'connected');
    return [socket, data];
  }

  async close() {
    for (const cleanup of this.cleanups) await cleanup();
    for (const socket of this.sockets) {
      socket.io.reconnection(false);
      socket.disconnect();
    }
  }
}

async function request(method, path, body, headers = { 'X-API-Key': apiKey }) {
  const response = await fetch(`http://localhost:${port}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

async function publish(type, data) {
  const [status, answer] = await request('POST', '/events', { type, data, id: fresh('event') });
  assert.equal(status, 200, JSON.stringify(answer));
  assert.equal(answer.success, true);
}

// A function that remembers its calls; `called(n)` resolves with them once there are n.
function recorder() {
  const calls = [];
  let wake = () => {};
  const record = (...args) => {
    calls.push(args);
    wake();
  };
  record.calls = calls;
  record.called = (count) => within(new Promise((resolve) => {
    wake = () => calls.length >= count && resolve(calls);
    wake();
  }), 10, `call ${count}, after ${JSON.stringify(calls)},`);
  return record;
}

// Nothing of what was published before is still on its way to these sockets.
async function settled(...sockets) {
  for (const socket of sockets) await ask(socket, 'leave_room', 'no such room');
}

// Authentication

scenario('without a token: Authentication required', async (world) => {
  const did = recorder();
  for (const options of [{}, { auth: {} }, { auth: { token: '' } }]) {
    const socket = world.io(`ws://localhost:${port}`, options);
    snippets.runTelling('authentication_errors.js', { socket }, did);
    const [error] = await next(socket, 'connect_error');
    assert.equal(error.message, 'Authentication required');
    assert.deepStrictEqual(error.data, { code: 'auth_required' });
  }
  assert.deepStrictEqual(did.calls, Array(3).fill(['Redirect to login']));
});

scenario('the placeholder as it stands: Invalid or expired token', async (world) => {
  const did = recorder();
  const socket = snippets.run('connect.js', port, { io: world.io }, 'socket');
  snippets.runTelling('authentication_errors.js', { socket }, did);
  const strays = [collect(socket, 'connected'), collect(socket, 'connect')];
  const [error] = await next(socket, 'connect_error');
  assert.equal(error.message, 'Invalid or expired token');
  assert.deepStrictEqual(error.data, { code: 'token_invalid' });
  assert.deepStrictEqual(did.calls, [['Refresh token and reconnect']]);
  assert.deepStrictEqual(strays, [[], []]);
});

scenario('bad tokens', async (world) => {
  const user = { userId: fresh('user') };
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
  const [, payload] = mint(secret, user).split('.');
  const tokens = {
    'signed with another secret': mint(`${secret}x`, user),
    'not signed': `${none}.${payload}.`,
    'without a user': mint(secret, { companyId: 'c' }),
    'without an end': mint(secret, { ...user, exp: undefined }),
  };
  for (const [name, token] of Object.entries(tokens)) {
    const [error] = await next(world.connect(token), 'connect_error');
    assert.equal(error.message, 'Invalid or expired token', name);
    assert.equal(error.data.code, 'token_invalid', name);
  }
});

scenario('an expired token, refreshed', async (world) => {
  const userId = fresh('user');
  const did = recorder();
  const socket = world.connect(mint(secret, { userId }, -60));
  snippets.runTelling('authentication_errors.js', { socket }, did);
  const [error] = await next(socket, 'connect_error');
  assert.equal(error.message, 'Invalid or expired token');
  assert.deepStrictEqual(error.data, { code: 'token_expired' });
  assert.deepStrictEqual(did.calls, [['Refresh token and reconnect']]);
  const connected = next(socket, 'connected');
  socket.auth = { token: mint(secret, { userId }) };
  socket.connect();
  assert.equal((await connected)[0].userId, userId);
});

scenario('a token in the Authorization header, never in the query', async (world) => {
  const userId = fresh('user');
  const token = mint(secret, { userId });
  const extraHeaders = { Authorization: `Bearer ${token}` };
  const [data] = await next(world.io(`ws://localhost:${port}`, { extraHeaders }), 'connected');
  assert.equal(data.userId, userId);
  const [error] = await next(world.io(`ws://localhost:${port}`, { query: { token } }), 'connect_error');
  assert.equal(error.message, 'Authentication required');
});

// Events between client and server

scenario('connected tells who and where one is', async (world) => {
  const [user, company, shops] = [fresh('user'), fresh('company'), [fresh('shop'), fresh('shop')]];
  const [socket, data] = await world.join({ userId: user, companyId: company, shopIds: shops, role: 'manager' });
  assert.deepStrictEqual(Object.keys(data).sort(), ['message', 'rooms', 'socketId', 'timestamp', 'userId']);
  assert.equal(typeof data.message, 'string');
  assert.ok(data.message);
  assert.equal(data.socketId, socket.id);
  assert.equal(data.userId, user);
  assert.match(data.timestamp, ISO);
  assert.deepStrictEqual([...data.rooms].sort(), [
    `user:${user}`, `company:${company}`, ...shops.map((shop) => `shop:${shop}`), 'role:manager',
  ].sort());
});

scenario('the server to client handlers', async (world) => {
  const [user, company] = [fresh('user'), fresh('company')];
  const socket = world.connect(mint(secret, { userId: user, companyId: company }));
  const log = recorder();
  snippets.run('server_to_client.js', port, { socket, console: { log } });
  const [message, id] = await log.called(2);
  assert.equal(typeof message[0], 'string');
  assert.deepStrictEqual(id, ['Socket ID:', socket.id]);
  const order = fresh('order');
  const expected = [
    ['order.shipped', { orderId: order, orderNumber: 'ORD-12345', userId: user, status: 'shipped' }, 'Order updated:',
      { orderId: order, orderNumber: 'ORD-12345', status: 'shipped', message: 'Your order #ORD-12345 is now shipped' }],
    ['payment.success', { paymentId: fresh('payment'), orderId: order, userId: user, amount: 5 }, 'Payment:',
      { orderId: order }],
    ['inventory.updated', { productId: 'prod_123', quantity: 50, companyId: company }, 'Inventory changed:',
      { productId: 'prod_123', quantity: 50 }],
    ['inventory.low_stock',
      { productId: 'prod_123', productName: 'iPhone 15', quantity: 5, threshold: 10, companyId: company }, 'Low stock:',
      {
        productId: 'prod_123', productName: 'iPhone 15', quantity: 5, threshold: 10, severity: 'warning',
        message: 'iPhone 15 is running low (5 remaining)',
      }],
    ['notification.created',
      { userId: user, type: 'info', priority: 'high', subject: 'Subject', content: 'Content', metadata: { a: [1] } },
      'New notification:',
      { type: 'info', priority: 'high', subject: 'Subject', content: 'Content', metadata: { a: [1] } }],
    ['announcement.created', { subject: 'System Maintenance', content: 'tonight at 2 AM' }, 'Announcement:',
      { subject: 'System Maintenance', content: 'tonight at 2 AM' }],
  ];
  for (const [n, [type, data, label, fields]] of expected.entries()) {
    await publish(type, data);
    const calls = await log.called(3 + n);
    const [title, got] = calls[2 + n];
    assert.equal(title, label);
    for (const [key, value] of Object.entries(fields)) assert.deepStrictEqual(got[key], value, `${label} ${key}`);
    assert.match(got.timestamp, ISO, label);
  }
  await settled(socket);
  assert.equal(log.calls.length, 2 + expected.length);
});

scenario('the client to server events', async (world) => {
  const user = OWNER;
  const [socket] = await world.join({ userId: user });
  const [friend] = await world.join({ userId: fresh('user') });
  for (const one of [socket, friend]) {
    assert.deepStrictEqual(await ask(one, 'join_room', 'chat-room'), [{ success: true, room: 'chat-room' }]);
  }
  const own = collect(socket, 'typing');
  const refusals = collect(socket, 'error');
  const typing = next(friend, 'typing');
  snippets.run('client_to_server.js', port, { socket });
  const [data] = await typing;
  assert.deepStrictEqual(
    { ...data, timestamp: 0 }, { roomId: 'chat-room', userId: user, isTyping: true, timestamp: 0 },
  );
  assert.match(data.timestamp, ISO);
  const [update, stock] = [next(socket, 'order:update'), next(socket, 'inventory:stock_changed')];
  await publish('order.shipped', { orderId: 'order-123', userId: user, status: 'shipped' });
  await publish('inventory.updated', { productId: 'product-456', quantity: 7, companyId: fresh('company') });
  assert.equal((await update)[0].status, 'shipped');
  assert.equal((await stock)[0].quantity, 7);
  await settled(socket);
  assert.deepStrictEqual([own, refusals], [[], []]);
  // It joined the custom room and left it again.
  const left = await ask(socket, 'typing', { roomId: 'custom-room-id', isTyping: true });
  assert.equal(left[0].error.code, 'forbidden');
});

scenario('typing reaches the members of the room and nobody else', async (world) => {
  const people = await Promise.all(Array.from({ length: 3 }, () => world.join({ userId: fresh('user') })));
  const [[sender, me], [member], [stranger]] = people;
  const room = fresh('room');
  await ask(sender, 'join_room', room);
  await ask(member, 'join_room', room);
  const heard = people.map(([socket]) => collect(socket, 'typing'));
  for (const isTyping of [true, false]) {
    const got = next(member, 'typing');
    sender.emit('typing', { roomId: room, isTyping });
    const [{ timestamp, ...data }] = await got;
    assert.deepStrictEqual(data, { roomId: room, userId: me.userId, isTyping });
    assert.match(timestamp, ISO);
  }
  const [refused] = await Promise.all([
    next(stranger, 'error'), stranger.emit('typing', { roomId: room, isTyping: true }),
  ]);
  assert.equal(refused[0].event, 'typing');
  assert.equal(refused[0].code, 'forbidden');
  await ask(member, 'leave_room', room);
  sender.emit('typing', { roomId: room, isTyping: true });
  await settled(sender, member, stranger);
  assert.deepStrictEqual(heard.map((list) => list.length), [0, 2, 0]);
});

scenario('rooms of the system are not for joining', async (world) => {
  const [socket] = await world.join({ userId: fresh('user') });
  const [, victim] = await world.join({ userId: fresh('user') });
  for (const room of ['user:other', 'company:other', 'super_admin', 'role:admin', 'order:1', victim.socketId, '', null, {}]) {
    const [answer] = await ask(socket, 'join_room', room);
    assert.equal(answer.success, false, String(room));
    assert.ok(['forbidden', 'bad_request'].includes(answer.error.code), String(room));
    assert.equal(typeof answer.error.message, 'string');
  }
});

// Use cases

scenario('use case 1: real-time order tracking', async (world) => {
  const userId = OWNER;
  const [socket] = await world.join({ userId });
  const [stranger] = await world.join({ userId: fresh('user') });
  const [updateOrderStatus, showNotification] = [recorder(), recorder()];
  const strays = recorder();
  snippets.run('use_case_order_tracking.js', port, { socket, updateOrderStatus, showNotification });
  snippets.run('use_case_order_tracking.js', port, {
    socket: stranger, updateOrderStatus: strays, showNotification: strays,
  });
  await settled(socket, stranger);
  for (const [n, status] of ['confirmed', 'shipped', 'delivered'].entries()) {
    await publish(`order.${status}`, { orderId: 'order-123', orderNumber: 'ORD-12345', userId, status });
    await updateOrderStatus.called(n + 1);
  }
  await settled(socket, stranger);
  assert.deepStrictEqual(updateOrderStatus.calls, [['confirmed'], ['shipped'], ['delivered']]);
  assert.deepStrictEqual(showNotification.calls, [['Order confirmed'], ['Order shipped'], ['Order delivered']]);
  assert.deepStrictEqual(strays.calls, []);
});

scenario('use case 2: live inventory monitoring', async (world) => {
  const companyId = fresh('company');
  const [socket] = await world.join({ userId: fresh('user'), companyId, role: 'manager' });
  const [updateProductQuantity, showAlert] = [recorder(), recorder()];
  snippets.run('use_case_inventory_monitoring.js', port, { socket, updateProductQuantity, showAlert });
  await settled(socket);
  await publish('inventory.updated', { productId: 'product-456', quantity: 12, companyId });
  await publish('inventory.updated', { productId: 'product-457', quantity: 13, companyId });
  await publish('inventory.low_stock', { productId: 'product-456', productName: 'iPhone 15', quantity: 5, threshold: 10, companyId });
  await publish('inventory.out_of_stock', { productId: 'product-456', productName: 'iPhone 15', quantity: 0, companyId });
  await showAlert.called(2);
  await settled(socket);
  assert.deepStrictEqual(updateProductQuantity.calls[0], ['product-456', 12]);
  assert.ok(updateProductQuantity.calls.every(([id]) => id === 'product-456'));
  assert.deepStrictEqual(showAlert.calls[0], ['iPhone 15 is running low (5 remaining)', 'warning']);
  assert.equal(showAlert.calls[1][1], 'critical');
  assert.equal(showAlert.calls.length, 2);
});

scenario('use case 3: admin dashboard updates', async (world) => {
  const [socket] = await world.join({ userId: fresh('user'), role: 'super_admin' });
  const handlers = {
    addToOrderList: recorder(), incrementOrderCount: recorder(), addToAlertList: recorder(), playNotificationSound: recorder(),
  };
  snippets.run('use_case_admin_dashboard.js', port, { socket, ...handlers });
  const orders = [fresh('order'), fresh('order')];
  for (const orderId of orders) {
    await publish('order.created', { orderId, orderNumber: 'ORD-1', userId: fresh('user'), companyId: fresh('company') });
  }
  await publish('inventory.out_of_stock', { productId: 'p', productName: 'P', quantity: 0, companyId: fresh('company') });
  await handlers.playNotificationSound.called(1);
  await settled(socket);
  assert.deepStrictEqual(handlers.addToOrderList.calls.map(([data]) => data.orderId), orders);
  assert.equal(handlers.incrementOrderCount.calls.length, 2);
  assert.deepStrictEqual(handlers.addToAlertList.calls.map(([data]) => data.productId), ['p']);
});

scenario('use case 4: shop manager real-time view', async (world) => {
  const [mine, other] = [fresh('shop'), fresh('shop')];
  const [socket] = await world.join({ userId: fresh('user'), shopIds: [mine] });
  const [addToShopOrders, updateShopInventory] = [recorder(), recorder()];
  snippets.run('use_case_shop_manager.js', port, { socket, addToShopOrders, updateShopInventory });
  const order = fresh('order');
  for (const [orderId, shopId] of [[fresh('order'), other], [order, mine]]) {
    await publish('order.created', { orderId, userId: fresh('user'), companyId: fresh('company'), shopId });
    await publish('inventory.updated', { productId: `of ${shopId}`, quantity: 3, companyId: fresh('company'), shopId });
  }
  await updateShopInventory.called(1);
  await settled(socket);
  assert.deepStrictEqual(addToShopOrders.calls.map(([data]) => data.orderId), [order]);
  assert.deepStrictEqual(updateShopInventory.calls.map(([data]) => [data.productId, data.quantity]), [[`of ${mine}`, 3]]);
});

scenario('a customer hears of own orders only', async (world) => {
  const [[customer, me], [other]] = [await world.join({ userId: fresh('user') }), await world.join({ userId: fresh('user') })];
  const strays = collect(other, 'order:status_updated');
  const got = next(customer, 'order:status_updated');
  await publish('order.shipped', { orderId: fresh('order'), orderNumber: 'ORD-7', userId: me.userId, status: 'shipped' });
  assert.equal((await got)[0].message, 'Your order #ORD-7 is now shipped');
  await settled(other);
  assert.deepStrictEqual(strays, []);
});

// Disconnections and REST

scenario('the server ends a connection for good', async (world) => {
  const userId = fresh('user');
  const [socket] = await world.join({ userId });
  const did = recorder();
  snippets.runTelling('connection_errors.js', { socket }, did);
  const left = next(socket, 'disconnect');
  await publish('user.deactivated', { userId });
  assert.equal((await left)[0], 'io server disconnect');
  assert.equal(socket.active, false);
  assert.deepStrictEqual(did.calls, [['Server forcefully disconnected (reauth required)']]);
});

scenario('the REST answers', async (world) => {
  const [status, health] = await request('GET', '/health', undefined, {});
  assert.equal(status, 200);
  assert.match(health.timestamp, ISO);
  assert.deepStrictEqual({ ...health, timestamp: 0 }, { status: 'OK', service: 'websocket-service', timestamp: 0 });
  const [, { userId }] = await world.join({ userId: fresh('user') });
  assert.deepStrictEqual(await request('GET', `/user-status/${userId}`), [
    200, { success: true, data: { userId, isConnected: true } },
  ]);
  const nobody = fresh('user');
  assert.deepStrictEqual(await request('GET', `/user-status/${nobody}`), [
    200, { success: true, data: { userId: nobody, isConnected: false } },
  ]);
  const [, users] = await request('GET', '/connected-users');
  assert.equal(users.success, true);
  assert.equal(users.data.count, users.data.users.length);
  assert.ok(users.data.users.includes(userId));
  for (const path of ['/connected-users', `/user-status/${userId}`]) {
    const [refused, body] = await request('GET', path, undefined, {});
    assert.equal(refused, 401, path);
    assert.equal(body.success, false);
  }
});

// Frameworks

function browserLike(world) {
  const { JSDOM } = require('jsdom');
  const { window } = new JSDOM('<!doctype html><div id="app"></div>');
  const globals = ['window', 'document', 'navigator', 'Element', 'SVGElement', 'HTMLElement', 'Node'];
  const before = globals.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const name of globals) Object.defineProperty(globalThis, name, { value: window[name], configurable: true });
  world.cleanups.push(() => {
    for (const [name, descriptor] of before) {
      delete globalThis[name];
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    }
    window.close();
  });
  return window.document;
}

// Once the page reads so.
function reads(document, text) {
  return within(new Promise((resolve) => {
    const look = () => document.getElementById('app')?.textContent === text && resolve();
    new document.defaultView.MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
    look();
  }), 10, `the page reading ${text}`);
}

async function isGone(userId) {
  await within((async () => {
    while ((await request('GET', `/user-status/${userId}`))[1].data.isConnected);
  })(), 10, `${userId} being gone`);
}

scenario('React: the hook', async (world) => {
  const document = browserLike(world);
  const react = require('react');
  const { createRoot } = require('react-dom/client');
  const [showNotification, log] = [recorder(), recorder()];
  const modules = { react, 'socket.io-client': world.module };
  const useWebSocket = snippets.importModule('react.js', port, 'useWebSocket', modules, {
    showNotification, console: { log },
  });
  let seen;
  const Status = ({ token }) => {
    seen = useWebSocket(token);
    return react.createElement('p', null, seen.connected ? `connected ${seen.socket !== null}` : 'not connected');
  };
  const root = createRoot(document.getElementById('app'));
  const [first, second] = [fresh('user'), fresh('user')];
  root.render(react.createElement(Status, { token: mint(secret, { userId: first }) }));
  await reads(document, 'connected true');
  await publish('order.shipped', { orderId: fresh('order'), orderNumber: 'ORD-12345', userId: first, status: 'shipped' });
  await showNotification.called(1);
  const firstSocket = seen.socket;
  root.render(react.createElement(Status, { token: mint(secret, { userId: second }) }));
  await isGone(first);
  await log.called(2); // the page may still show that the first one is connected
  await reads(document, 'connected true');
  await publish('order.delivered', { orderId: fresh('order'), orderNumber: 'ORD-2', userId: second, status: 'delivered' });
  await showNotification.called(2);
  assert.equal(firstSocket.connected, false);
  assert.deepStrictEqual(showNotification.calls, [['Your order #ORD-12345 is now shipped'], ['Your order #ORD-2 is now delivered']]);
  assert.deepStrictEqual(log.calls.map(([text, data]) => [text, data.userId]), [['Connected:', first], ['Connected:', second]]);
  root.unmount();
  await isGone(second);
});

async function checkVue(world, mount, { destroys }) {
  const document = browserLike(world);
  const [userId, companyId] = [fresh('user'), fresh('company')];
  const $notify = recorder();
  const $store = { state: { auth: { token: mint(secret, { userId, companyId }) } } };
  const { default: component } = snippets.importModule('vue.js', port, 'nothing', {}, { io: world.io });
  const destroy = mount(component, { $notify, $store });
  await reads(document, 'connected: true');
  await publish('inventory.low_stock', { productId: 'p', productName: 'iPhone 15', quantity: 5, threshold: 10, companyId });
  await $notify.called(1);
  assert.deepStrictEqual($notify.calls, [[
    { title: 'Low Stock Alert', message: 'iPhone 15 is running low (5 remaining)', type: 'warning' },
  ]]);
  destroy();
  if (!destroys) world.sockets[0].close();
  await isGone(userId);
}

scenario('Vue 2: the component', (world) => checkVue(world, (component, properties) => {
  const Vue = require('vue-2');
  Object.assign(Vue.config, { productionTip: false, devtools: false });
  Object.assign(Vue.prototype, properties);
  const app = new Vue({
    extends: component,
    render(h) { return h('div', { attrs: { id: 'app' } }, `connected: ${this.connected}`); },
  });
  app.$mount('#app');
  return () => app.$destroy();
}, { destroys: true }));

// Vue 3 calls the last hook by another name, so there the page itself has to close the socket.
scenario('Vue 3: the component', (world) => checkVue(world, (component, properties) => {
  const { createApp, h } = require('vue');
  const app = createApp({ extends: component, render() { return h('p', `connected: ${this.connected}`); } });
  Object.assign(app.config.globalProperties, properties);
  app.mount('#app');
  return () => app.unmount();
}, { destroys: false }));

scenario('Angular: the service', async (world) => {
  await import('@angular/compiler');
  const core = await import('@angular/core');
  const modules = { '@angular/core': core, rxjs: require('rxjs'), 'socket.io-client': world.module };
  const WebSocketService = snippets.importModule('angular.ts', port, 'WebSocketService', modules);
  const injector = core.Injector.create({ providers: [{ provide: core.ɵINJECTOR_SCOPE, useValue: 'root' }] });
  const service = injector.get(WebSocketService);
  assert.equal(injector.get(WebSocketService), service);
  const userId = fresh('user');
  service.connect(mint(secret, { userId }));
  const updates = recorder();
  service.onOrderUpdate().subscribe(updates);
  await next(world.sockets[0], 'connected');
  const orderId = fresh('order');
  await publish('order.cancelled', { orderId, orderNumber: 'ORD-3', userId, status: 'cancelled' });
  const [[data]] = await updates.called(1);
  assert.equal(data.orderId, orderId);
  assert.equal(data.status, 'cancelled');
  service.disconnect();
  await isGone(userId);
});

run({ before: () => new World(), after: (world) => world.close() });
