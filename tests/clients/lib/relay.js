'use strict';
// Passes TCP connections on to a server, holding back those that ask for a WebSocket until release() is called.

const net = require('node:net');
const { once } = require('node:events');

class Relay {
  constructor(url) {
    const { hostname, port } = new URL(url);
    this.sockets = new Set();
    this.released = new Promise((resolve) => { this.release = resolve; });
    this.server = net.createServer((near) => {
      const far = net.connect(Number(port), hostname);
      for (const socket of [near, far]) {
        this.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => { near.destroy(); far.destroy(); });
      }
      near.once('data', async (head) => {
        near.pause();
        if (/^upgrade: *websocket/im.test(head.toString('latin1'))) await this.released;
        far.write(head);
        near.pipe(far).pipe(near);
      });
    });
  }

  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  close() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

module.exports = { Relay };
