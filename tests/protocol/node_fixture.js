// The Node server that tests/protocol can be run against: `node node_fixture.js '{"kind": "socketio", ...}'`.
// It takes the same JSON argument as tests/support/protocol_server.py and behaves the same.
const path = require("path");
const http = require("http");

const places = [
  path.join(__dirname, "..", "clients"),
  ...(process.env.NODE_PATH || "").split(path.delimiter).filter(Boolean).map((p) => path.dirname(p)),
];
const load = (name, from = places) => require(require.resolve(name, { paths: from }));
const socketIo = path.dirname(require.resolve("socket.io/package.json", { paths: places }));

const { kind, port = 0, refusing = false, options = {} } = JSON.parse(process.argv[2]);
const say = (...words) => process.stdout.write(words.join(" ") + "\n");

function translated() {
  const milliseconds = (seconds) => (seconds === undefined ? undefined : seconds * 1000);
  const chosen = {
    path: options.path,
    pingInterval: milliseconds(options.ping_interval),
    pingTimeout: milliseconds(options.ping_timeout),
    connectTimeout: milliseconds(options.connect_timeout),
    upgradeTimeout: milliseconds(options.upgrade_timeout),
    maxHttpBufferSize: options.max_payload,
    transports: options.transports,
    allowUpgrades: options.allow_upgrades,
    cors: options.cors_origins && { origin: options.cors_origins },
    cookie: options.cookie && {
      name: options.cookie.name,
      path: options.cookie.path,
      httpOnly: options.cookie.http_only,
      sameSite: options.cookie.same_site,
    },
    httpCompression: options.compression_threshold && { threshold: options.compression_threshold },
    allowRequest: refusing ? mayEnter : undefined,
  };
  return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
}

function mayEnter(request, answer) {
  const refusal = request.headers["x-refuse"];
  answer(refusal === undefined ? null : refusal, refusal === undefined);
}

function echoEngine(server) {
  const engine = load("engine.io", [socketIo]).attach(server, translated());
  engine.on("connection", (session) => {
    say("opened", session.id);
    session.on("close", (reason) => say("closed", session.id, reason));
    session.on("message", (data) => {
      const [command, argument] = String(data).split(":");
      if (command === "note") say("noted", argument);
      if (command === "close") return session.close();
      if (command === "count") {
        for (let n = 0; n < Number(argument); n++) session.send(`number ${n}`);
        return undefined;
      }
      return session.send(data);
    });
  });
}

function echoSockets(server) {
  const io = new (load("socket.io").Server)(server, translated());
  io.on("connection", (socket) => {
    const name = socket.handshake.auth.name;
    socket.emit("auth", socket.handshake.auth);
    socket.on("message", (...args) => socket.emit("message-back", ...args));
    socket.on("message-with-ack", (...args) => {
      const answer = args.pop();
      if (typeof answer === "function") answer(...args);
    });
    socket.on("ack-twice", (answer) => [answer("first"), answer("second")]);
    socket.on("ask", (question) => socket.emit("question", question, (...answers) => socket.emit("answered", ...answers)));
    socket.on("shut-down", () => io.close());
    socket.on("leave", () => socket.disconnect());
    socket.on("close", () => socket.disconnect(true));
    socket.on("note", (token) => say("noted", token));
    socket.on("disconnecting", (reason) => say("leaving", name, reason, socket.rooms.has(socket.id)));
    socket.on("disconnect", (reason) => say("left", name, reason));
  });
  io.of("/custom").on("connection", (socket) => socket.emit("auth", socket.handshake.auth));
  guardMembers(io.of("/members"));
  tickWhileWaiting(io.of("/slow"));
}

function guardMembers(members) {
  members.use((socket, next) => {
    if (socket.handshake.auth.token === "good") return next();
    return next(Object.assign(new Error("Not a member"), { data: { code: "not_a_member" } }));
  });
  members.on("connection", (socket) => socket.emit("welcome"));
}

function tickWhileWaiting(slow) {
  slow.use((socket, next) => {
    const ticks = setInterval(() => slow.emit("tick"), 20);
    setTimeout(() => {
      clearInterval(ticks);
      next(socket.handshake.auth.refuse ? new Error("Too late") : undefined);
    }, 200);
  });
  slow.on("connection", (socket) => socket.emit("welcome"));
}

const server = http.createServer((request, response) => {
  response.writeHead(404);
  response.end();
});
(kind === "engineio" ? echoEngine : echoSockets)(server);
server.listen(port, "127.0.0.1", () => say("listening on 127.0.0.1:" + server.address().port));
process.on("SIGTERM", () => process.exit(0));
