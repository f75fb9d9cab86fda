'use strict';
// Domain events from the topic exchange: a durable queue, each message acknowledged once it is handled.

const amqplib = require('amqplib');

const EXCHANGE = 'events';
const QUEUE = 'websocket.events';
const DOMAINS = [
  'order', 'payment', 'inventory', 'product', 'notification', 'user', 'company', 'shop', 'transfer', 'announcement',
];
const PREFETCH = 250; // as many as rtwist takes by default
// Those of rtwist: a queue that keeps the order over several consumers takes RabbitMQ a little longer.
const ARGUMENTS = { 'x-single-active-consumer': true, 'x-dead-letter-exchange': 'websocket.events.dlx' };

async function consume(url, handle, logger) {
  const connection = await amqplib.connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.assertExchange(EXCHANGE, 'topic', { durable: true });
  await channel.assertQueue(QUEUE, { durable: true, arguments: ARGUMENTS });
  for (const domain of DOMAINS) await channel.bindQueue(QUEUE, EXCHANGE, `${domain}.#`);
  await channel.prefetch(PREFETCH);
  await channel.consume(QUEUE, (message) => {
    try {
      handle(message.fields.routingKey, JSON.parse(message.content.toString()));
      channel.ack(message);
    } catch (error) {
      logger.error('cannot be used', { key: message.fields.routingKey, error: String(error) });
      channel.nack(message, false, false);
    }
  });
}

module.exports = { consume };
