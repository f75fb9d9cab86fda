// Publishes messages in order, each with headers of every type: node amqp_publish_all.js URL FILE
// FILE holds a JSON array of {exchange, key, body (base64), options}.
'use strict';

const fs = require('node:fs');
const amqplib = require('amqplib');
const { HEADERS } = require('./lib/amqp_headers');

const [url, file] = process.argv.slice(2);

async function main() {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  for (const { exchange, key, body, options } of JSON.parse(fs.readFileSync(file, 'utf8'))) {
    channel.publish(exchange, key, Buffer.from(body, 'base64'), { headers: HEADERS, persistent: true, ...options });
  }
  await channel.waitForConfirms();
  await connection.close();
}

main();
