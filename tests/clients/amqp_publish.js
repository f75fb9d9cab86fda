// Publishes one message with headers of every type that amqplib knows: node amqp_publish.js URL EXCHANGE KEY
'use strict';

const amqplib = require('amqplib');
const { HEADERS } = require('./lib/amqp_headers');

const [url, exchange, key] = process.argv.slice(2);

async function main() {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  channel.publish(exchange, key, Buffer.from('from amqplib: \u{1f600}'), {
    headers: HEADERS,
    contentType: 'text/plain',
    messageId: 'm-1',
    timestamp: 1750000000,
    persistent: true,
  });
  await channel.waitForConfirms();
  await connection.close();
}

main();
