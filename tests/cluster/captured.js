// Prints, as JSON lines, what the Node packages publish: {name, channel, hex} with a fake Redis client.
// Usage: node captured.js, with node_modules of tests/clients.
"use strict";
const path = require("path");
const modules = path.join(__dirname, "..", "clients", "node_modules");
const load = (name) => require(path.join(modules, name));
const { Server } = load("socket.io");
const { createAdapter, createShardedAdapter } = load("@socket.io/redis-adapter");
const { Emitter } = load("@socket.io/redis-emitter");

let name = "";
const publish = (channel, message) => {
  const hex = Buffer.from(message).toString("hex");
  console.log(JSON.stringify({ name, channel, hex }));
  return Promise.resolve(1);
};
const fake = () => ({
  on() {},
  off() {},
  publish,
  sPublish: publish,
  pSubscribe() {},
  subscribe() {},
  sSubscribe() {},
  // Three nodes, whatever is asked.
  sendCommand: () => Promise.resolve(["channel", 3]),
});
const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

const everything = [
  ["all", (to) => to.emit("all", 1)],
  ["room", (to) => to.to("a").emit("room", { n: -1.5, s: "é", t: true, z: null })],
  ["rooms", (to) => to.to(["a", "b"]).except("c").emit("rooms")],
  ["volatile", (to) => to.volatile.emit("v", [1, 128, 65536, 4294967296, -33])],
  ["compress", (to) => to.compress(false).emit("c")],
  ["binary", (to) => to.emit("b", Buffer.from([1, 2, 3]), { deep: Buffer.from("x") })],
  ["undefined", (to) => to.emit("u", undefined, { gone: undefined })],
  ["join", (to) => to.to ? to.in("a").except("b").socketsJoin(["c", "d"]) : null],
  ["leave", (to) => to.in("a").socketsLeave("c")],
  ["disconnect", (to) => to.in("a").disconnectSockets(true)],
  ["server side", (to) => to.serverSideEmit("hello", { n: 1 })],
];
const withAnswers = [
  ["with ack", (to) => to.timeout(1000).emit("q", 1, () => {})],
  ["fetch", (to) => to.in("a").fetchSockets().catch(() => {})],
  ["server side with ack", (to) => to.serverSideEmit("hello", 2, () => {})],
];

const capture = async (prefix, to, operations) => {
  for (const [what, operate] of operations) {
    name = `${prefix} ${what}`;
    operate(to);
    await turn();
  }
};

(async () => {
  const classic = new Server({ adapter: createAdapter(fake(), fake()) });
  await capture("classic", classic, [...everything, ...withAnswers]);
  await capture("classic", classic.of("/"), [["all rooms", (to) => to.adapter.allRooms()]]);
  name = "classic other namespace";
  classic.of("/other").emit("x");
  const adapter = classic.of("/").adapter;
  const asked = async (what, request) => {
    name = `answer ${what}`;
    await adapter.onrequest(adapter.requestChannel, Buffer.from(JSON.stringify(request)));
    await turn();
  };
  const opts = { rooms: [], except: [] };
  await asked("rooms", { uid: "other1", requestId: "r1", type: 1 });
  await asked("sockets", { requestId: "r2", type: 0, rooms: [] });
  await asked("fetch", { uid: "other1", requestId: "r3", type: 5, opts });
  classic.on("hello", (_, answer) => answer("world"));
  await asked("server side", { uid: "other1", requestId: "r4", type: 6, data: ["hello", 1] });
  const packet = { type: 2, data: ["q"], nsp: "/" };
  await asked("count", { uid: "other1", requestId: "r5", type: 7, packet, opts });
  const sharded = new Server({ adapter: createShardedAdapter(fake(), fake()) });
  await capture("sharded", sharded, [...everything, ...withAnswers]);
  await capture("emitter", new Emitter(fake()), everything);
  process.exit(0);
})();
