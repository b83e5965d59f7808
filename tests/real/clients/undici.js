// SPDX-License-Identifier: MIT
// undici.js URL: what node's undici gets of the server of server.c, a line for each.
'use strict';
const crypto = require('crypto');
const undici = require('undici');
const url = process.argv[2];
const pool = new undici.Pool(url, { connections: 4, pipelining: 4 });
// As clients.py makes it.
const blocks = [];
for (let i = 0; i < 1000; i++)
  blocks.push(crypto.createHash('sha256').update(String(i)).digest());
const block = Buffer.concat(blocks);
const large = Buffer.concat(Array(Math.floor(3000000 / block.length) + 1).fill(block)).subarray(0, 3000000);

async function ask(path, options = {}) {
  const answer = await pool.request({ path, method: 'GET', ...options });
  return { ...answer, bytes: Buffer.from(await answer.body.arrayBuffer()) };
}

async function* pieces() {
  for (let at = 0; at < large.length; at += 100000)
    yield large.subarray(at, at + 100000);
}

async function main() {
  const whole = await ask('/large.bin');
  console.log(whole.statusCode, crypto.createHash('sha256').update(whole.bytes).digest('hex'));
  const part = await ask('/large.bin', { headers: { range: 'bytes=5-9' } });
  console.log(part.statusCode, part.headers['content-range']);
  const same = await ask('/large.bin', { headers: { 'if-none-match': whole.headers.etag } });
  console.log(same.statusCode, same.bytes.length);
  console.log(String((await ask('/upload', { method: 'PUT', body: pieces() })).bytes));
  console.log(String((await ask('/upload', { method: 'POST', body: large })).bytes));
  const form = { method: 'POST', body: 'name=a%26b&text=c', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
  console.log(String((await ask('/form', form)).bytes));
  console.log(String((await ask('/lines')).bytes).split('\n').length - 1, 'lines');
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
    ask('/large.bin', { headers: { range: `bytes=${i * 1000}-${i * 1000 + 999}` } })));
  console.log(answers.filter((one, i) => one.bytes.equals(large.subarray(i * 1000, i * 1000 + 1000))).length, 'at once');
  await ask('/broken').then(() => console.log('a half answer was taken for a whole one'),
    () => console.log('broken is seen'));
  const control = new AbortController();
  const aborted = pool.request({ path: '/large.bin', method: 'GET', signal: control.signal })
    .then((answer) => { control.abort(); return answer.body.arrayBuffer(); });
  await aborted.then(() => console.log('nothing was aborted'), () => console.log('aborted'));
  await pool.close();
}

main().catch((error) => { console.error(error); process.exit(1); });
