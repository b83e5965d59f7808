// SPDX-License-Identifier: MIT
'use strict';

// Node: promises and timers. A yield that lets others run is setImmediate. It has no queue and no
// lock of its own; the queue below is what a program would write.
const fs = require('fs');
const net = require('net');
const name = process.argv[2];

const now = () => Number(process.hrtime.bigint());
const result = (what, value, unit) => console.log(`${what} node ${value.toPrecision(6)} ${unit}`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function memoryBytes(field) {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  return 1024 * new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1];
}

function cpuSeconds() {
  const usage = process.cpuUsage();
  return (usage.user + usage.system) / 1e6;
}

function delays(n) {
  const spans = new Uint16Array(n);
  let x = 88172645463325252n;
  for (let i = 0; i < n; i++) {
    x ^= (x << 13n) & 0xffffffffffffffffn;
    x ^= x >> 7n;
    x ^= (x << 17n) & 0xffffffffffffffffn;
    spans[i] = 1 + Number(x % 1000n);
  }
  return spans;
}

class Queue {
  constructor(max) {
    this.max = max;
    this.items = [];
    this.taken = 0;
    this.getters = [];
    this.putters = [];
  }

  async put(item) {
    while (this.items.length - this.taken >= this.max) {
      await new Promise((resolve) => this.putters.push(resolve));
    }
    this.items.push(item);
    const getter = this.getters.shift();
    if (getter) getter();
  }

  async get() {
    while (this.items.length === this.taken) {
      await new Promise((resolve) => this.getters.push(resolve));
    }
    const item = this.items[this.taken++];
    if (this.taken > 1000) {
      this.items = this.items.slice(this.taken);
      this.taken = 0;
    }
    const putter = this.putters.shift();
    if (putter) putter();
    return item;
  }
}

async function sleepersRound(spans) {
  const sleeper = async (ms) => {
    await sleep(ms);
  };
  const started = now();
  await Promise.all(Array.from(spans, sleeper));
  return (now() - started) / 1e9;
}

function echo() {
  const server = net.createServer({ noDelay: true }, (peer) => {
    peer.on('data', (bytes) => peer.write(bytes));
    peer.on('error', () => {});
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => console.log(server.address().port));
}

const workloads = {
  echo,

  startup() {},

  async ctxswitch() {
    const n = 500000;
    const yields = async () => {
      for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    const started = now();
    await Promise.all([yields(), yields()]);
    result(name, (now() - started) / (2 * n), 'ns');
  },

  async spawn_seq() {
    const n = 2000000;
    const noop = async () => {};
    const started = now();
    for (let i = 0; i < n; i++) await noop();
    result(name, (now() - started) / n, 'ns');
  },

  async spawn_gather() {
    const n = 100000;
    const noop = async () => {};
    for (const what of ['spawn_gather_cold', 'spawn_gather']) {
      const started = now();
      const promises = [];
      for (let i = 0; i < n; i++) promises.push(noop());
      await Promise.all(promises);
      result(what, (now() - started) / n, 'ns');
    }
  },

  async sleepers() {
    const spans = delays(100000);
    const [memory, tables, cpu] = [memoryBytes('VmHWM'), memoryBytes('VmPTE'), cpuSeconds()];
    const wall = await sleepersRound(spans);
    result('sleepers_cpu', cpuSeconds() - cpu, 's');
    result('sleepers_wall', wall, 's');
    result('sleepers_mem', (memoryBytes('VmHWM') - memory) / spans.length, 'B');
    result('sleepers_tables', (memoryBytes('VmPTE') - tables) / spans.length, 'B');
  },

  async sleepers_1m() {
    const spans = delays(1000000);
    result('sleepers_1m_first', await sleepersRound(spans), 's');
    result('sleepers_1m', await sleepersRound(spans), 's');
  },

  generator() {
    function* naturals() {
      for (let i = 0; ; i++) yield i;
    }
    const n = 10000000;
    let sum = 0;
    const started = now();
    for (const value of naturals()) {
      sum += value;
      if (value === n) break;
    }
    result(name, (now() - started) / n, 'ns');
  },

  async pingpong() {
    const n = 500000;
    const there = new Queue(1);
    const back = new Queue(1);
    const answers = async () => {
      for (let i = 0; i < n; i++) await back.put(await there.get());
    };
    const other = answers();
    const started = now();
    for (let i = 0; i < n; i++) {
      await there.put(i);
      await back.get();
    }
    result(name, (now() - started) / n, 'ns');
    await other;
  },

  async prodcons() {
    const n = 2000000;
    const queue = new Queue(64);
    const produce = async () => {
      for (let i = 0; i < n; i++) await queue.put(i);
    };
    const started = now();
    const producer = produce();
    for (let i = 0; i < n; i++) await queue.get();
    result(name, (now() - started) / n, 'ns');
    await producer;
  },

  http() {
    const server = require('http').createServer((request, answer) => {
      answer.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 14 });
      answer.end('Hello, world!\n');
    });
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));
  },
};

workloads[name]();
