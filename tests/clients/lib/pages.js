'use strict';
// An origin of its own: a small server with one empty page and the browser build of the client.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { once } = require('node:events');

const DIST = path.join(__dirname, '..', 'node_modules', 'socket.io-client', 'dist');
const FILES = {
  '/': ['text/html; charset=utf-8', '<!doctype html><title>client</title><script src="/socket.io.min.js"></script>'
    + '<script src="/in_page.js"></script>'],
  '/socket.io.min.js': ['text/javascript; charset=utf-8', fs.readFileSync(path.join(DIST, 'socket.io.min.js'))],
  '/in_page.js': ['text/javascript; charset=utf-8', fs.readFileSync(path.join(__dirname, 'in_page.js'))],
};

async function servePages(port) {
  const server = http.createServer((request, response) => {
    const file = FILES[request.url];
    response.writeHead(file ? 200 : 404, { 'Content-Type': file ? file[0] : 'text/plain' });
    response.end(file ? file[1] : '');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

module.exports = { servePages };
