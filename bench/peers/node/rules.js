'use strict';
// From a domain event to what is emitted: [{ event, data, rooms }], for everyone without rooms.

const company = (id) => [`company:${id}`, 'super_admin'];

function order(kind, data, timestamp) {
  const { orderId, orderNumber, status } = data;
  const message = `Your order #${orderNumber} is now ${status}`;
  const told = { orderId, orderNumber, status, message, timestamp };
  const update = { ...data, ...told };
  const answers = [{ event: 'order:update', data: update, rooms: `order:${orderId}` }];
  const customer = data.userId ?? data.customerId;
  if (customer) answers.push({ event: 'order:status_updated', data: told, rooms: `user:${customer}` });
  if (kind === 'order.created') {
    const news = { ...update, message: `New order #${orderNumber}` };
    if (data.companyId) answers.push({ event: 'order:new_order', data: news, rooms: company(data.companyId) });
    if (data.shopId) answers.push({ event: 'order:shop_order', data: news, rooms: `shop:${data.shopId}` });
  }
  return answers;
}

function payment(kind, data, timestamp) {
  const update = { ...data, timestamp };
  const answers = [{ event: 'payment:update', data: update, rooms: `order:${data.orderId}` }];
  if (data.userId) answers.push({ event: 'payment:status_updated', data: update, rooms: `user:${data.userId}` });
  return answers;
}

function alerts(kind, data, timestamp) {
  const { productId, productName, quantity, threshold } = data;
  const severity = kind === 'inventory.out_of_stock' ? 'critical' : 'warning';
  const message = `${productName} is running low (${quantity} remaining)`;
  const alert = { productId, productName, quantity, threshold, severity, message, timestamp };
  const rooms = [...(data.companyId ? company(data.companyId) : []), ...(data.shopId ? [`shop:${data.shopId}`] : [])];
  const answers = rooms.length ? [{ event: 'inventory:low_stock_alert', data: alert, rooms }] : [];
  if (severity === 'critical') answers.push({ event: 'inventory:alert', data: alert });
  return answers;
}

function inventory(kind, data, timestamp) {
  if (kind === 'inventory.low_stock' || kind === 'inventory.out_of_stock') return alerts(kind, data, timestamp);
  const { productId, productName, quantity } = data;
  const told = { productId, productName, quantity, timestamp };
  const update = { ...data, ...told };
  const answers = [];
  if (data.companyId) answers.push({ event: 'inventory:updated', data: update, rooms: company(data.companyId) });
  if (data.shopId) answers.push({ event: 'inventory:shop_update', data: update, rooms: `shop:${data.shopId}` });
  answers.push({ event: 'inventory:stock_changed', data: told, rooms: `product:${productId}` });
  return answers;
}

function notification(kind, data, timestamp) {
  const { type = 'info', priority = 'normal', subject, content, metadata } = data;
  const told = { type, priority, subject, content, metadata, timestamp };
  if (data.userId) return [{ event: 'notification:new', data: told, rooms: `user:${data.userId}` }];
  if (data.role) return [{ event: 'notification:new', data: told, rooms: `role:${data.role}` }];
  return [{ event: 'notification:broadcast', data: told }];
}

function announcement(kind, data, timestamp) {
  const { type = 'info', priority = 'normal', subject, content, metadata } = data;
  return [{ event: 'announcement:new', data: { type, priority, subject, content, metadata, timestamp } }];
}

function transfer(kind, data, timestamp) {
  const rooms = [`transfer:${data.transferId}`, `shop:${data.fromShopId}`, `shop:${data.toShopId}`];
  return [{ event: 'transfer:status_update', data: { ...data, timestamp }, rooms }];
}

function relay(kind, data, timestamp) {
  const [domain, action] = kind.split('.');
  return [{ event: `${domain}:${action}`, data: { ...data, timestamp }, rooms: `${domain}:${data[`${domain}Id`]}` }];
}

const RULES = { order, payment, inventory, notification, announcement, transfer };

function domainOf(kind, data) {
  if (kind) return kind.split('.', 1)[0];
  if (data.orderId) return 'order';
  if (data.paymentId) return 'payment';
  if (data.productId && data.quantity !== undefined) return 'inventory';
  if (data.transferId) return 'transfer';
  return 'notification';
}

function emissionsOf(routingKey, message) {
  const { data = message, timestamp = new Date().toISOString() } = message;
  const kind = routingKey || message.type;
  return (RULES[domainOf(kind, data)] ?? relay)(kind, data, timestamp);
}

module.exports = { emissionsOf };
