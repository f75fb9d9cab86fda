// One consumer of bench/intake.py: node bench/consume_amqplib.js PORT MESSAGES; prints what it took.
'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');

const amqplib = createRequire(path.join(__dirname, '../tests/clients/package.json'))('amqplib');

const [port, count] = process.argv.slice(2).map(Number);

async function main() {
  const connection = await amqplib.connect({ hostname: '127.0.0.1', port, heartbeat: 20 });
  const channel = await connection.createChannel();
  await channel.prefetch(500);
  let seen = 0;
  let started;
  let cpu;
  await new Promise((resolve) => {
    channel.consume('bench', (message) => {
      if (seen === 0) {
        started = process.hrtime.bigint();
        cpu = process.cpuUsage();
      }
      seen += 1;
      if (message.content.length !== 180) throw new Error(message.content.toString());
      if (seen % 100 === 0 || seen === count) channel.ack(message, true);
      if (seen === count) resolve();
    });
  });
  const used = process.cpuUsage(cpu);
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  console.log(JSON.stringify({ seconds, cpu: (used.user + used.system) / 1e6 }));
  await connection.close();
}

main();
