// Headers of every type that amqplib can spell.
'use strict';

const typed = (type, value) => ({ '!': type, value });

const HEADERS = {
  string: 'é',
  null: null,
  bool: true,
  array: [1, 'two', null, { three: 3 }],
  table: { deep: { deeper: [false] } },
  bytes: Buffer.from([0, 255, 254]),
  int8: typed('int8', -1),
  uint8: typed('uint8', 255),
  int16: typed('int16', -2),
  uint16: typed('uint16', 65535),
  int32: typed('int32', -3),
  uint32: typed('uint32', 4294967295),
  int64: typed('int64', -4),
  float: typed('float', 0.5),
  double: typed('double', 0.1),
  timestamp: typed('timestamp', 1750000000),
  decimal: typed('decimal', { places: 2, digits: 1234 }),
  small: 5,
  medium: 30000,
  large: 2 ** 40,
};

module.exports = { HEADERS };
