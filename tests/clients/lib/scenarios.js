'use strict';
// Runs named scenarios one after the other and prints one JSON line for each of them.
// The name of a scenario stands on the line that declares it, as scenario('name', …): the Python side reads them there.

const SCENARIO_SECONDS = Number(process.env.SCENARIO_SECONDS || 20);
const declared = [];

function scenario(name, modes, body) {
  if (body === undefined) [modes, body] = [null, modes];
  declared.push({ name, modes, body });
}

function within(promise, seconds, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${seconds} s`)), seconds * 1000);
  });
  const first = Promise.race([promise, late]).finally(() => clearTimeout(timer));
  // A scenario that has failed already looks at no other promise.
  first.catch(() => {});
  return first;
}

// The arguments of the next `name` that `emitter` emits and `accept` likes.
function next(emitter, name, accept = () => true) {
  return within(new Promise((resolve) => {
    const listener = (...args) => {
      if (!accept(...args)) return;
      emitter.off(name, listener);
      resolve(args);
    };
    emitter.on(name, listener);
  }), 10, `event ${JSON.stringify(name)}`);
}

// What the server acknowledges: the arguments of the callback, as an array.
function ask(socket, ...args) {
  return within(new Promise((resolve) => {
    socket.emit(...args, (...answer) => resolve(answer));
  }), 10, `acknowledgement of ${JSON.stringify(args[0])}`);
}

// Every `name` that arrives from now on, in order.
function collect(emitter, name) {
  const got = [];
  emitter.on(name, (...args) => got.push(args));
  return got;
}

function report(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function run({ mode, before = () => ({}), after = () => {}, done = () => {} }) {
  let [tried, failed] = [0, 0];
  for (const { name, modes, body } of declared) {
    // Against a server that does not work at all the rest would only take long to fail.
    if (tried === 3 && failed === 3) break;
    const started = Date.now();
    if (modes !== null && !modes.includes(mode)) {
      report({ scenario: name, ok: true, applies: false, seconds: 0 });
      continue;
    }
    const context = before();
    let error = null;
    try {
      await within(Promise.resolve().then(() => body(context)), SCENARIO_SECONDS, `scenario ${name}`);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.stack : String(thrown);
    }
    try {
      await after(context);
    } catch (thrown) {
      error = `${error === null ? '' : `${error}\n`}afterwards: ${thrown.stack}`;
    }
    tried += 1;
    failed += error === null ? 0 : 1;
    report({ scenario: name, ok: error === null, error: error && error.slice(0, 4000), seconds: (Date.now() - started) / 1000 });
  }
  await done();
  // Timers that a client leaves behind must not keep the process.
  process.stdout.write('', () => process.exit(0));
}

process.on('unhandledRejection', (reason) => {
  report({ scenario: null, ok: false, error: `unhandled rejection: ${reason && reason.stack}` });
});

module.exports = { ask, collect, next, report, run, scenario, within };
