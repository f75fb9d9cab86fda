'use strict';
// Connections of one socket.io-client package in one mode: 'polling', 'websocket' or 'upgrade'.

const assert = require('node:assert/strict');
const { within, next } = require('./scenarios');

const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], upgrade: ['polling', 'websocket'] };

class Connections {
  constructor({ library, url, mode }) {
    this.package = require(library);
    this.url = url;
    this.mode = mode;
    this.managers = [];
  }

  // A manager that has not started to connect.
  manager(options = {}) {
    const manager = new this.package.Manager(this.url, {
      transports: TRANSPORTS[this.mode],
      autoConnect: false,
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
      randomizationFactor: 0,
      ...options,
    });
    this.managers.push(manager);
    return manager;
  }

  // A socket of a manager of its own that is connected, and upgraded when the mode says so.
  async join(namespace = '/', { auth, settle = true, ...options } = {}) {
    const manager = this.manager(options);
    const socket = manager.socket(namespace, { auth });
    const joined = this.joined(socket);
    socket.connect();
    await joined;
    if (settle) await this.settled(socket);
    return socket;
  }

  joined(socket) {
    return within(new Promise((resolve, reject) => {
      socket.on('connect', resolve);
      socket.on('connect_error', reject);
    }), 10, 'connect');
  }

  transport(socket) {
    return socket.io.engine.transport.name;
  }

  // Once the transport is the one that the mode ends with.
  async settled(socket) {
    if (this.mode === 'upgrade' && this.transport(socket) === 'polling') await next(socket.io.engine, 'upgrade');
    assert.equal(this.transport(socket), this.mode === 'polling' ? 'polling' : 'websocket');
  }

  close() {
    for (const manager of this.managers) {
      manager.reconnection(false);
      manager._close();
    }
  }
}

module.exports = { Connections, TRANSPORTS };
