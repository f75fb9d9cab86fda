// A Node server in one cluster with rtwist, a client of each, and what each hears of the other.
// Usage: node interop.js REDIS_URL RTWIST_URL classic|sharded; prints one JSON object, {name of the check: result}.
"use strict";
const path = require("path");
const load = (name) => require(path.join(__dirname, "..", "clients", "node_modules", name));
const { Server } = load("socket.io");
const { createAdapter, createShardedAdapter } = load("@socket.io/redis-adapter");
const { Emitter } = load("@socket.io/redis-emitter");
const { createClient } = load("redis");
const { io: connect } = load("socket.io-client");

const [redisUrl, rtwistUrl, protocol] = process.argv.slice(2);
const LIMIT = 10000;
const results = {};

const heard = (client, event) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${event} was not heard`)), LIMIT);
    client.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args.map((arg) => (Buffer.isBuffer(arg) ? `binary ${arg.toString("hex")}` : arg)));
    });
  });
const until = async (holds) => {
  const end = Date.now() + LIMIT;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("it did not come about");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
const redis = async () => {
  const client = createClient({ url: redisUrl });
  client.on("error", () => {});
  await client.connect();
  return client;
};

const main = async () => {
  const [publisher, subscriber, third] = [await redis(), await redis(), await redis()];
  const create = protocol === "classic" ? createAdapter : createShardedAdapter;
  const io = new Server({ adapter: create(publisher, subscriber) });
  io.listen(0);
  const port = io.httpServer.address().port;
  const options = { transports: ["websocket"], auth: { token: "SECRET" } };
  const here = connect(`http://127.0.0.1:${port}`, options);
  const there = connect(rtwistUrl, options);
  await Promise.all([heard(here, "connect"), heard(there, "connect")]);
  await until(async () => (await io.of("/").adapter.serverCount()) === 2);
  const please = async (...what) => (await io.serverSideEmitWithAck("please", ...what))[0];
  here.on("who", (answer) => answer("client of node"));
  there.on("who", (answer) => answer("client of rtwist"));

  const check = async (name, work) => {
    try {
      results[name] = await work();
    } catch (error) {
      results[name] = `FAILED: ${error.message}`;
    }
  };
  const both = async (event, act) => {
    const waiting = Promise.all([heard(here, event), heard(there, event)]);
    await act();
    return waiting;
  };

  await check("node broadcasts", () => both("a", () => io.emit("a", 1, { deep: null }, Buffer.from([1, 2]))));
  await check("rtwist broadcasts", () => both("b", () => please("broadcast", "b")));
  await check("node changes rooms", async () => {
    io.in(there.id).socketsJoin(["r1", "r3"]);
    io.in(here.id).socketsJoin("r1");
    await until(async () => (await io.in("r1").fetchSockets()).length === 2);
    return both("c", () => io.to("r1").emit("c"));
  });
  await check("rtwist changes rooms", async () => {
    await please("join", here.id, "r2");
    await please("join", there.id, "r2");
    await until(async () => (await io.in("r2").fetchSockets()).length === 2);
    return both("d", () => please("room", "r2", "d"));
  });
  await check("node fetches", async () => {
    const sockets = await io.fetchSockets();
    const found = sockets.find((socket) => socket.id === there.id);
    return [sockets.length, found.handshake.auth, found.rooms.has("r1")];
  });
  await check("rtwist fetches", async () => {
    const ids = await please("fetch");
    return [ids.length, ids.includes(here.id), ids.includes(there.id)];
  });
  await check("node asks clients", async () => (await io.timeout(LIMIT).emitWithAck("who")).sort());
  await check("rtwist asks clients", async () => (await please("who")).sort());
  await check("node asks servers", () => io.serverSideEmitWithAck("ping", 1));
  io.on("ping", (n, answer) => answer(`node ${n}`));
  await check("rtwist asks servers", () => please("ping"));
  if (protocol === "classic") {
    const emitter = new Emitter(third);
    await check("node lists rooms", async () => (await io.of("/").adapter.allRooms()).has("r3"));
    await check("rtwist lists rooms", async () => (await please("rooms")).includes("r1"));
    await check("the emitter broadcasts", () => both("e", () => emitter.emit("e", Buffer.from([3]))));
    await check("the emitter reaches a room", () => both("f", () => emitter.to("r1").emit("f")));
    await check("the emitter tells servers", () => both("g", () => emitter.serverSideEmit("echo", "g")));
    io.on("echo", () => {});
  }
  await check("node disconnects", async () => {
    const gone = heard(there, "disconnect");
    io.in(there.id).disconnectSockets();
    return (await gone)[0];
  });
  await check("rtwist disconnects", async () => {
    const gone = heard(here, "disconnect");
    io.serverSideEmit("disconnect them", here.id);
    return (await gone)[0];
  });
  console.log(JSON.stringify(results));
  process.exit(0);
};
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
