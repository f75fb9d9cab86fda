'use strict';
// node browser_scenarios.js CHROMIUM PAGE_PORT ECHO_URL GUARDED_URL SERVICE_URL JWT_SECRET
// Pages of other origins use the echo server, which allows any, a server and the service, which allow one.

const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');
const { servePages } = require('./lib/pages');
const { run, scenario } = require('./lib/scenarios');
const { mint } = require('./lib/token');

const [executablePath, pagePort, echoUrl, guardedUrl, serviceUrl, secret] = process.argv.slice(2);
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--no-proxy-server', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];
const MODES = ['polling', 'websocket', 'upgrade'];
const bytes = (...values) => ({ kind: 'ArrayBuffer', bytes: values });
const ECHOED = {
  text: ['hello', '', 'é😀👩‍👩‍👧‍👦', 'a\u001eb\n', null, { nested: [1, 2.5, { deep: true }] }],
  arrayBuffer: [bytes(0, 1, 2, 30, 10, 255), bytes()],
  typedArray: [bytes(2, 3), bytes(1, 2)],
  blob: [bytes(7, 8, 9), 'and text'],
  nested: [{ a: [bytes(1), { b: bytes(0xc3, 0xa9) }], c: 'd' }, [bytes(2)]],
  large: ['é😀'.repeat(20000), bytes(...new Uint8Array(100000).fill(30))],
};
const COOKIE = 'probe=from-the-page';

let browser;
const origins = {};
const pages = {};

// One page of each origin for everything: a connection belongs to the action that makes it.
async function inPage(origin, action, ...args) {
  if (pages[origin] === undefined) {
    pages[origin] = await browser.newPage();
    await pages[origin].context().addCookies([{ name: 'probe', value: 'from-the-page', url: origins[origin] }]);
    await pages[origin].goto(origins[origin]);
  }
  return pages[origin].evaluate(([name, given]) => window.actions[name](...given), [action, args]);
}

async function echoes(make) {
  for (const mode of MODES) {
    assert.deepStrictEqual(
      await inPage('allowed', 'echo', echoUrl, mode, make), { message: ECHOED[make], ack: ECHOED[make] }, mode,
    );
  }
}

scenario('the transport is the one asked for', async () => {
  assert.deepStrictEqual(await inPage('allowed', 'transport', echoUrl, 'polling'), ['polling', 'polling']);
  assert.deepStrictEqual(await inPage('allowed', 'transport', echoUrl, 'websocket'), ['websocket', 'websocket']);
  assert.deepStrictEqual(await inPage('allowed', 'transport', echoUrl, 'upgrade'), ['polling', 'websocket']);
});
scenario('text', () => echoes('text'));
scenario('array buffers', () => echoes('arrayBuffer'));
scenario('typed arrays', () => echoes('typedArray'));
scenario('blobs', () => echoes('blob'));
scenario('nested binary', () => echoes('nested'));
scenario('100 KB', () => echoes('large'));

scenario('messages arrive in order exactly once', async () => {
  for (const mode of MODES) {
    assert.deepStrictEqual(
      await inPage('allowed', 'order', echoUrl, mode, 500), Array.from({ length: 500 }, (_, n) => [n, n % 10 === 0]), mode,
    );
  }
});

scenario('any origin may use a server that allows any', async () => {
  for (const mode of MODES) {
    assert.deepStrictEqual((await inPage('stranger', 'echo', echoUrl, mode, 'text')).ack, ECHOED.text, mode);
  }
});

scenario('credentials are sent when asked for', async () => {
  for (const mode of MODES) {
    const { cookie } = await inPage('allowed', 'who', guardedUrl, mode, { withCredentials: true });
    assert.equal(cookie, COOKIE, mode);
  }
});

scenario('credentials are not sent by polling unless asked for', async () => {
  const { cookie } = await inPage('allowed', 'who', guardedUrl, 'polling', {});
  assert.equal(cookie, null);
});

scenario('extra headers pass the preflight', async () => {
  for (const mode of ['polling', 'upgrade']) {
    const { header } = await inPage('allowed', 'who', guardedUrl, mode, { extraHeaders: { 'X-Probe': 'page' } });
    assert.equal(header, 'page', mode);
  }
});

scenario('an origin that is not allowed gets nothing', async () => {
  assert.deepStrictEqual(await inPage('stranger', 'intrude', guardedUrl), []);
});

scenario('a failed attempt of one origin does not lock out the other', async () => {
  await inPage('stranger', 'intrude', guardedUrl);
  assert.ok((await inPage('allowed', 'who', guardedUrl, 'upgrade', {})).id);
});

scenario('the service from the page it allows', async () => {
  const token = mint(secret, { userId: 'u1', shopIds: ['s1'] });
  for (const mode of MODES) {
    const data = await inPage('allowed', 'service', serviceUrl, mode, token);
    assert.equal(data.userId, 'u1', mode);
    assert.deepStrictEqual(data.rooms.sort(), ['shop:s1', 'user:u1'], mode);
  }
});

scenario('the service from a page it does not allow', async () => {
  assert.deepStrictEqual(await inPage('stranger', 'intrude', serviceUrl), []);
});

async function main() {
  origins.allowed = await servePages(Number(pagePort));
  origins.stranger = await servePages(0);
  browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  await run({ done: () => browser.close() });
}

main();
