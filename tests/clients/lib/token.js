'use strict';
// Tokens as the platform's sign-in service signs them: JSON Web Tokens with HS256.

const crypto = require('node:crypto');

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function mint(secret, claims, seconds = 3600) {
  const now = Math.floor(Date.now() / 1000);
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iat: now, exp: now + seconds, ...claims })}`;
  return `${signed}.${crypto.createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

module.exports = { mint };
