// The parsers of JavaScript, one case a line in, one answer a line out; for differential.py.
//
// In both directions objects are {"o": [[key, value], ...]}, bytes {"b": hex} and numbers that JSON has no form
// for {"n": text}; undefined is {"u": 1}. All else is as JSON has it.

const { Decoder, Encoder } = require("socket.io-parser");
const { decodePayload, encodePayload } = require("engine.io-parser");

const tagged = (value) => {
  if (value === undefined) return { u: 1 };
  if (typeof value === "number" && !Number.isFinite(value)) return { n: String(value) };
  if (value === null || typeof value !== "object") return value;
  if (Buffer.isBuffer(value)) return { b: value.toString("hex") };
  if (Array.isArray(value)) return value.map(tagged);
  return { o: Object.keys(value).map((key) => [key, tagged(value[key])]) };
};

const untagged = (value) => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(untagged);
  if ("b" in value) return Buffer.from(value.b, "hex");
  if ("u" in value) return undefined;
  const object = {};
  for (const [key, item] of value.o) {
    Object.defineProperty(object, key, { value: untagged(item), enumerable: true, configurable: true, writable: true });
  }
  return object;
};

const decode = (messages) => {
  const decoder = new Decoder();
  const results = [];
  let packet = null;
  decoder.on("decoded", (decoded) => (packet = decoded));
  for (const message of messages) {
    packet = null;
    try {
      decoder.add(untagged(message));
    } catch (error) {
      results.push("refused");
      break;
    }
    results.push(packet && [packet.type, packet.nsp, tagged(packet.id), tagged(packet.data)]);
  }
  return results;
};

const encode = ([type, nsp, id, data]) =>
  new Encoder().encode({ type, nsp, id: untagged(id), data: untagged(data) }).map(tagged);

const payload = (text) =>
  decodePayload(text, "nodebuffer").map(({ type, data }) => (type === "error" ? "refused" : [type, tagged(data)]));

const joined = (packets) => {
  let text;
  encodePayload(
    packets.map(([type, data]) => ({ type, data: untagged(data) })),
    (encoded) => (text = encoded)
  );
  return text;
};

const operations = { decode, encode, payload, joined };

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [name, argument] = JSON.parse(line);
    process.stdout.write(JSON.stringify(operations[name](argument)) + "\n");
  });
