'use strict';
// node day_publish.js URL EXCHANGE FILE RATE TIMES: publishes the lines of FILE, each [routing key, body], RATE a second.
// Every message is mandatory and confirmed. Prints the numbers; TIMES gets when each was published, in seconds of the
// monotonic clock, as doubles.

const fs = require('node:fs');
const amqplib = require('amqplib');

const TICK = 2;

const [url, exchange, file, rate, times] = process.argv.slice(2);
const now = () => Number(process.hrtime.bigint()) / 1e9;

async function main() {
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const messages = lines.map((line) => JSON.parse(line)).map(([key, body]) => [key, Buffer.from(body)]);
  const sent = new Float64Array(messages.length);
  const counts = { published: 0, confirmed: 0, refused: 0, returned: 0 };
  const connection = await amqplib.connect(url, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  channel.on('return', () => { counts.returned += 1; });
  const options = { contentType: 'application/json', mandatory: true, persistent: false };
  const started = now();
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(messages.length, Math.floor((now() - started) * rate) + 1);
      while (counts.published < due) {
        const [key, body] = messages[counts.published];
        sent[counts.published] = now();
        counts.published += 1;
        channel.publish(exchange, key, body, options, (error) => {
          counts[error ? 'refused' : 'confirmed'] += 1;
        });
      }
      if (counts.published === messages.length) {
        clearInterval(timer);
        resolve();
      }
    }, TICK);
  });
  const seconds = now() - started;
  await channel.waitForConfirms();
  await connection.close();
  fs.writeFileSync(times, Buffer.from(sent.buffer));
  process.stdout.write(`${JSON.stringify({ ...counts, seconds })}\n`);
}

main();
