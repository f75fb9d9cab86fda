'use strict';
// The adapter for a cluster over REDIS_URL: that of all nodes, or with CLUSTER=sharded the sharded one; none without.

const { createClient } = require('redis');
const { createAdapter, createShardedAdapter } = require('@socket.io/redis-adapter');

async function connected(url, logger) {
  const client = createClient({ url });
  client.on('error', (error) => logger.error('redis', { error: String(error) }));
  await client.connect();
  return client;
}

async function clusterAdapter(logger) {
  const url = process.env.REDIS_URL;
  if (!url) return null;
  const [publisher, subscriber] = [await connected(url, logger), await connected(url, logger)];
  return (process.env.CLUSTER === 'sharded' ? createShardedAdapter : createAdapter)(publisher, subscriber);
}

module.exports = { clusterAdapter };
