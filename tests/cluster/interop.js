// A Node server in one cluster with rtwist, two clients of each, and who hears what of whom.
// Usage: node interop.js REDIS_URL RTWIST_URL classic|sharded OPTIONS_OF_THE_ADAPTER_AS_JSON
// Prints one JSON object: {name of the check: result}.
"use strict";
const path = require("path");
const load = (name) => require(path.join(__dirname, "..", "clients", "node_modules", name));
const { Server } = load("socket.io");
const { createAdapter, createShardedAdapter } = load("@socket.io/redis-adapter");
const { Emitter } = load("@socket.io/redis-emitter");
const { createClient } = load("redis");
const { io: connect } = load("socket.io-client");

const [redisUrl, rtwistUrl, protocol, adapterOptions] = process.argv.slice(2);
const classic = protocol === "classic";
const LIMIT = 10000;
const BINARY = Buffer.from([1, 2, 255]);
const results = {};

const until = async (what, holds) => {
  const end = Date.now() + LIMIT;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const redis = async () => {
  const client = createClient({ url: redisUrl });
  client.on("error", () => {});
  await client.connect();
  return client;
};
const plain = (value) => (Buffer.isBuffer(value) ? `binary ${value.toString("hex")}` : value);
const sorted = (values) => [...values].sort();
const check = async (name, work) => {
  try {
    results[name] = await work();
  } catch (error) {
    results[name] = `FAILED: ${error.message}`;
  }
};

// A client of one server, in "/" and "/custom" over one connection; `heard` has what came: [event, ...args].
class Client {
  constructor(name, url) {
    this.name = name;
    this.heard = [];
    this.root = connect(url, {
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      auth: { token: "SECRET 1" },
      query: { token: "SECRET 2", lang: "en" },
      extraHeaders: { authorization: "SECRET 3", cookie: "sid=SECRET 4", "x-plain": "seen" },
    });
    this.custom = this.root.io.socket("/custom", { auth: {} });
    for (const [socket, prefix] of [[this.root, ""], [this.custom, "/custom "]]) {
      socket.onAny((event, ...args) => {
        const answer = typeof args[args.length - 1] === "function" ? args.pop() : null;
        this.heard.push([prefix + event, ...args.map(plain)]);
        if (answer && !(event === "who but n1" && name === "n1")) answer(event === "bytes" ? BINARY : name);
      });
    }
    this.custom.connect();
  }
}

const main = async () => {
  const [publisher, subscriber, third] = [await redis(), await redis(), await redis()];
  const create = classic ? createAdapter : createShardedAdapter;
  const io = new Server({ adapter: create(publisher, subscriber, JSON.parse(adapterOptions)) });
  io.on("connection", (socket) => (socket.data = { home: "node", deep: { list: [1, null] } }));
  io.of("/custom");
  io.listen(0);
  const nodeUrl = `http://127.0.0.1:${io.httpServer.address().port}`;
  await until("a cluster of two", async () => (await io.of("/").adapter.serverCount()) === 2);
  const [n1, n2, r1, r2] = [
    new Client("n1", nodeUrl),
    new Client("n2", nodeUrl),
    new Client("r1", rtwistUrl),
    new Client("r2", rtwistUrl),
  ];
  const clients = [n1, n2, r1, r2];
  await until("connections", () => clients.every(({ root, custom }) => root.connected && custom.connected));
  const told = [];
  io.on("tell", (...args) => told.push(args.map(plain)));
  io.on("ask", (...args) => args.pop()(`node has ${args.join()}`));

  // rtwist does something, and answers; see `obey` in test_interop.py.
  const please = async (...what) => (await io.serverSideEmitWithAck("please", ...what))[0];
  const operator = (base, { rooms, except, flags = {} }) => {
    let to = base;
    if (rooms) to = to.to(rooms);
    if (except) to = to.except(except);
    if (flags.volatile) to = to.volatile;
    if (flags.compress === false) to = to.compress(false);
    if (flags.local) to = to.local;
    if (flags.timeout) to = to.timeout(flags.timeout);
    return to;
  };
  const emitter = new Emitter(third);
  const emits = {
    node: (whom, ...args) => operator(io.of(whom.nsp || "/"), whom).emit(...args),
    rtwist: (whom, ...args) => please("emit", whom, args.map(plain)),
    emitter: (whom, ...args) => operator(emitter.of(whom.nsp || "/"), whom).emit(...args),
  };
  const speakers = classic ? ["node", "rtwist", "emitter"] : ["node", "rtwist"];

  // Who hears `args` when `speaker` emits them. What comes after the last of them says that no more will come.
  let fences = 0;
  const hearers = async (speaker, whom, ...args) => {
    for (const client of clients) client.heard = [];
    const fence = `fence ${++fences}`;
    await emits[speaker](whom, ...args);
    await emits[speaker]({ nsp: whom.nsp }, fence);
    const last = (whom.nsp ? `${whom.nsp} ` : "") + fence;
    await until(fence, () => clients.every(({ heard }) => heard.some(([event]) => event === last)));
    const found = {};
    for (const { name, heard } of clients) {
      const before = heard.filter(([event]) => event !== last);
      if (before.length) found[name] = before.length === 1 ? before[0] : before;
    }
    return found;
  };
  const rooms = async (room) => sorted((await io.in(room).fetchSockets()).map(({ id }) => nameOf(id)));
  const nameOf = (id) => (clients.find(({ root }) => root.id === id) || { name: "nobody" }).name;

  const movers = {
    node: {
      join: (whom, room) => operator(io, whom).socketsJoin(room),
      leave: (whom, room) => operator(io, whom).socketsLeave(room),
      disconnect: (whom, close) => operator(io, whom).disconnectSockets(close),
    },
    rtwist: {
      join: (whom, room) => please("join", whom, room),
      leave: (whom, room) => please("leave", whom, room),
      disconnect: (whom, close) => please("disconnect", whom, close),
    },
    emitter: {
      join: (whom, room) => operator(emitter, whom).socketsJoin(room),
      leave: (whom, room) => operator(emitter, whom).socketsLeave(room),
      disconnect: (whom, close) => operator(emitter, whom).disconnectSockets(close),
    },
  };
  const others = { node: [r1, r2], rtwist: [n1, n2], emitter: [n1, r1] };

  for (const speaker of speakers) {
    await check(`${speaker}: joins`, async () => {
      const { join } = movers[speaker];
      await join({ rooms: [n1.root.id, r1.root.id] }, `${speaker} one`);
      await join({ rooms: [n2.root.id, r2.root.id, n1.root.id] }, [`${speaker} two`, `${speaker} three`]);
      await join({ except: [r1.root.id, n2.root.id] }, `${speaker} four`);
      const names = ["one", "two", "three", "four"].map((name) => `${speaker} ${name}`);
      await until("joining", async () => {
        const sizes = await Promise.all(names.map(async (name) => (await rooms(name)).length));
        return sizes.join() === "2,3,3,2";
      });
      return Promise.all(names.map(rooms));
    });
    const [one, two] = [`${speaker} one`, `${speaker} two`];
    await check(`${speaker}: to all`, () => hearers(speaker, {}, "a", 1, { deep: [null, 1.5, "é"] }));
    await check(`${speaker}: to a room`, () => hearers(speaker, { rooms: one }, "a"));
    await check(`${speaker}: to several rooms`, () => hearers(speaker, { rooms: [one, two] }, "a"));
    await check(`${speaker}: to a room except`, () => hearers(speaker, { rooms: two, except: [one] }, "a"));
    await check(`${speaker}: to all except`, () => hearers(speaker, { except: [r2.root.id, n1.root.id] }, "a"));
    await check(`${speaker}: to one socket`, () => hearers(speaker, { rooms: others[speaker][1].root.id }, "a"));
    await check(`${speaker}: to nobody`, () => hearers(speaker, { rooms: "nobody" }, "a"));
    await check(`${speaker}: volatile`, () => hearers(speaker, { flags: { volatile: true } }, "a"));
    if (speaker !== "rtwist") {
      await check(`${speaker}: uncompressed`, () => hearers(speaker, { flags: { compress: false } }, "a"));
    }
    if (speaker !== "emitter") {
      await check(`${speaker}: local`, () => hearers(speaker, { flags: { local: true } }, "a"));
    }
    await check(`${speaker}: binary`, () => hearers(speaker, { rooms: one }, "a", BINARY, { deep: [BINARY] }));
    await check(`${speaker}: another namespace`, () => hearers(speaker, { nsp: "/custom" }, "a", BINARY));
    await check(`${speaker}: leaves`, async () => {
      await movers[speaker].leave({ rooms: two, except: n1.root.id }, [two, `${speaker} three`]);
      await until("leaving", async () => (await rooms(two)).length === 1);
      return [await rooms(two), await rooms(`${speaker} three`), await rooms(one)];
    });
    await check(`${speaker}: tells servers`, async () => {
      told.length = 0;
      const news = ["tell", 1, { a: [null] }, BINARY];
      if (speaker === "node") io.serverSideEmit(...news);
      else if (speaker === "rtwist") await please(...news.map(plain));
      else emitter.serverSideEmit(...news);
      await until("news", async () => told.length + (await please("heard")).length >= (speaker === "emitter" ? 2 : 1));
      return [[...told], await please("heard and forget")];
    });
  }

  for (const speaker of ["node", "rtwist"]) {
    const ask = (whom, ...args) =>
      speaker === "node" ? operator(io, whom).emitWithAck(...args) : please("ask clients", whom, args);
    const flags = { timeout: LIMIT };
    await check(`${speaker}: asks clients`, async () => sorted(await ask({ flags }, "who", 1)));
    await check(`${speaker}: asks a room`, async () => sorted(await ask({ rooms: "node one", flags }, "who")));
    await check(`${speaker}: asks nobody`, () => ask({ rooms: "nobody", flags }, "who"));
    await check(`${speaker}: is answered binary`, async () => {
      const answers = await ask({ rooms: "node one", flags }, "bytes");
      return answers.map(plain);
    });
    await check(`${speaker}: asks some who do not answer`, async () => {
      if (speaker === "rtwist") return please("ask clients", { flags: { timeout: 500 } }, ["who but n1"]);
      return new Promise((resolve) => {
        io.timeout(500).emit("who but n1", (error, answers) => resolve([Boolean(error), sorted(answers)]));
      });
    });
    await check(`${speaker}: asks servers`, () =>
      speaker === "node" ? io.serverSideEmitWithAck("ask", 1, "x") : please("ask servers", 1, "x"));
    await check(`${speaker}: counts servers`, () =>
      speaker === "node" ? io.of("/").adapter.serverCount() : please("count"));
    await check(`${speaker}: counts servers of a namespace`, () =>
      speaker === "node" ? io.of("/custom").adapter.serverCount() : please("count", "/custom"));
    if (classic) {
      await check(`${speaker}: lists rooms`, async () => {
        const found = speaker === "node" ? await io.of("/").adapter.allRooms() : new Set(await please("rooms"));
        return [n1.root.id, r1.root.id, "node one", "rtwist one", "emitter four"].map((room) => found.has(room));
      });
    }
  }
  const described = (sockets) =>
    sorted(sockets.map(({ id, rooms, data, handshake }) => {
      const { auth, headers, query } = handshake;
      const mine = [...rooms].filter((room) => room.endsWith("one")).sort();
      return JSON.stringify([nameOf(id), mine, data, auth, headers["x-plain"], query.lang, [...rooms].includes(id)]);
    }));
  await check("node: fetches", async () => described(await io.in(["node one", n2.root.id]).fetchSockets()));
  await check("rtwist: fetches", async () => described(await please("fetch", { rooms: ["node one", n2.root.id] })));
  await check("node: fetches all but some", async () => (await io.except("node one").fetchSockets()).length);
  await check("rtwist: fetches all but some", async () => (await please("fetch", { except: "node one" })).length);
  await check("node: fetches in a namespace", async () => (await io.of("/custom").fetchSockets()).length);
  await check("rtwist: fetches in a namespace", async () => (await please("fetch", { nsp: "/custom" })).length);
  await check("node: sees no credentials", async () => {
    const theirs = (await io.fetchSockets()).filter(({ id }) => nameOf(id).startsWith("r"));
    return [theirs.length, JSON.stringify(theirs.map(({ handshake }) => handshake)).includes("SECRET")];
  });
  await check("rtwist: shows no credentials", async () => {
    const all = await please("fetch", {});
    return [all.length, JSON.stringify(all).includes("SECRET")];
  });
  await check("node: acts on one it has fetched", async () => {
    const [remote] = await io.in(r1.root.id).fetchSockets();
    remote.join("fetched by node");
    await until("joining", async () => (await rooms("fetched by node")).length === 1);
    r1.heard = [];
    remote.emit("hello", BINARY);
    await until("hearing", () => r1.heard.length);
    return [await rooms("fetched by node"), [...r1.heard]];
  });
  await check("rtwist: acts on one it has fetched", async () => {
    await please("act on", n1.root.id, "fetched by rtwist");
    await until("joining", async () => (await rooms("fetched by rtwist")).length === 1);
    await until("hearing", () => n1.heard.some(([event]) => event === "hello"));
    return rooms("fetched by rtwist");
  });

  // Whoever closes the connection ends the other namespace too.
  const victims = { node: [r2, r1], rtwist: [n2, n1], emitter: [] };
  if (classic) {
    victims.emitter = [new Client("r3", rtwistUrl), new Client("r4", rtwistUrl)];
    await until("connections", () =>
      victims.emitter.every(({ root, custom }) => root.connected && custom.connected));
  }
  for (const speaker of speakers) {
    for (const [close, victim] of [[false, victims[speaker][0]], [true, victims[speaker][1]]]) {
      await check(`${speaker}: ${close ? "closes" : "disconnects"}`, async () => {
        const gone = new Promise((resolve) => victim.root.once("disconnect", resolve));
        await movers[speaker].disconnect({ rooms: victim.root.id }, close);
        const reason = await gone;
        if (close) await until("closing", () => !victim.custom.connected);
        else {
          await emits.node({ nsp: "/custom" }, "still there");
          await until("hearing", () => victim.heard.some(([event]) => event === "/custom still there"));
        }
        return [reason, victim.custom.connected];
      });
    }
  }
  console.log(JSON.stringify(results));
  process.exit(0);
};
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
