/* SPDX-License-Identifier: MIT */
/* chat.js: the page of the chat.
 *
 * It sends lines, as nc does, and is told events as JSON (wire.h). What must hold: an event is shown once, and in the
 * order of its number; what others write is only ever text, never markup; when the connection is lost, name, place and
 * the lines that have not come back are kept, and come again with it. */
(() => {
'use strict';

/* Before anything is drawn. */
const root = document.documentElement;
const darkSystem = matchMedia('(prefers-color-scheme: dark)');
function kept(store, key, value) {
  try {
    if (value !== undefined)
      store.setItem(key, value);
    return store.getItem(key) || '';
  } catch {
    return ''; /* a browser that keeps nothing */
  }
}
function paint() {
  const theme = kept(localStorage, 'theme');
  root.dataset.theme = theme || (darkSystem.matches ? 'dark' : 'light');
}
paint();
darkSystem.addEventListener('change', paint);

const TEXT_MAX = 1000; /* bytes */
const $ = (id) => document.getElementById(id);
const size = (text) => new TextEncoder().encode(text).length;
/* The server takes the same key and name for the same member. Kept by nothing but this page: a tab may be copied. */
const key = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, '0')).join('');

let socket = null, state = 'door', name = '', entered = false;
let epoch = '', last = 0, hello = 0; /* the last event that was shown; the last one from before the hello */
let wait = 0, retry = 0, again = 0; /* seconds; timer; when */
let unread = 0, below = 0; /* since the page was seen; since its end was */
let pending = []; /* lines that were sent and have not come back */
let previous = null; /* what stands at the end of the log: its author, when, which day */
let sentLines = [], recalled = 0;
let features = null, tasks = null; /* what the server offers; the stream of its tasks */
const here = new Map(); /* name: its <li> */

/* ---- Drawing ---- */

function element(tag, type, ...content) {
  const made = document.createElement(tag);
  if (type)
    made.className = type;
  made.append(...content);
  return made;
}
function hue(of) {
  let hash = 7;
  for (const c of of.toLowerCase())
    hash = (hash * 31 + c.codePointAt(0)) % 9973;
  return hash * 47 % 360;
}
function tinted(made, of) {
  made.classList.add('tinted');
  made.style.setProperty('--hue', of === 'server' ? 250 : hue(of));
  return made;
}
const disc = (of) => {
  const made = tinted(element('span', 'disc', [...of][0].toUpperCase()), of);
  made.setAttribute('aria-hidden', 'true');
  return made;
};
const hours = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clock = (at) => hours.format(new Date(at * 1000));
function day(at) {
  const then = new Date(at * 1000), now = new Date();
  if (then.toDateString() === now.toDateString())
    return 'today';
  return then.toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' });
}
function time(at) {
  const made = element('time', '', clock(at));
  made.dateTime = new Date(at * 1000).toISOString();
  return made;
}
/* Text, with its addresses as links. */
function linked(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(/https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]]/g)) {
    const link = element('a', '', found[0]);
    link.href = found[0];
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
    parts.push(text.slice(from, found.index), link);
    from = found.index + found[0].length;
  }
  return [...parts, text.slice(from)];
}

const log = () => $('log');
const atEnd = () => log().scrollHeight - log().scrollTop - log().clientHeight < 60;
function toEnd() {
  log().scrollTop = log().scrollHeight;
  below = 0;
  $('newer').hidden = true;
}
function show(made, counts) {
  const follow = atEnd();
  log().append(made);
  if (follow || !counts)
    toEnd();
  else
    $('newer').textContent = `${++below} new`;
  $('newer').hidden = below === 0;
}
function count(is) {
  unread = is;
  document.title = unread ? `(${unread}) crank chat` : 'crank chat';
}
const seen = () => document.visibilityState === 'visible' && document.hasFocus();

function startDay(at) {
  const today = day(at);
  if (previous && previous.day === today)
    return;
  log().append(element('div', 'day', today));
  previous = { day: today };
}
function showLine(type, ...content) {
  show(element('div', type, ...content));
  if (previous)
    previous.by = null;
}
const bold = (of) => tinted(element('b', '', of), of);

function showSaid(e, counts) {
  const mine = e.from === name, whisper = e.t === 'private';
  const more = previous.by === e.from && !whisper && e.at - previous.at < 300;
  const made = tinted(element('div', 'said'), e.from);
  made.classList.toggle('mine', mine);
  made.classList.toggle('more', more);
  made.classList.toggle('whisper', whisper);
  if (!mine && !more)
    made.append(disc(e.from), element('div', 'head', e.from, time(e.at)));
  else if (!more)
    made.append(element('span', 'unseen', 'you:'));
  const text = element('div', 'text', ...linked(e.text));
  if (mine)
    text.append(time(e.at));
  made.append(text);
  if (whisper)
    made.append(element('div', 'aside', mine ? `only ${e.to} sees this` : 'only you see this'));
  show(made, counts);
  previous = { ...previous, by: whisper ? null : e.from, at: e.at };
}

/* ---- People ---- */

function showCount() {
  $('count').textContent = $('count-bar').textContent = here.size;
}
function add(who) {
  if (here.has(who))
    return;
  const button = element('button', '', disc(who), element('span', 'who', who));
  button.type = 'button';
  if (who === name)
    button.append(element('span', 'you', 'you'));
  else
    button.title = `Write to ${who} alone`;
  button.addEventListener('click', () => {
    closeSheet();
    if (who !== name)
      $('text').value = `/msg ${who} ${$('text').value.replace(/^\/msg \S+ /, '')}`;
    $('text').focus();
    fit();
  });
  here.set(who, element('li', '', button));
  const order = (a, b) => (b === name) - (a === name) || a.localeCompare(b);
  const behind = [...here.keys()].sort(order)[[...here.keys()].sort(order).indexOf(who) + 1];
  $('members').insertBefore(here.get(who), here.get(behind) || null);
  showCount();
}
function remove(who) {
  here.get(who)?.remove();
  here.delete(who);
  showCount();
}

/* ---- What the room says ---- */

function welcome(e) {
  const others = e.here.length > 0 ? '' : ' Nobody else is here yet: open this page in a second tab' +
    (features?.lines ? `, or type ${features.lines} in a terminal.` : '.');
  showLine('line', 'You are ', bold(e.name), `.${others} /help lists what can be typed.`);
}

const does = {
  hello(e) {
    const restarted = epoch !== '' && epoch !== e.epoch;
    enter(e.name);
    for (const who of [...here.keys()])
      remove(who);
    [e.name, ...e.here].forEach(add);
    if (restarted)
      showLine('line', 'the server was restarted');
    else if (epoch === '')
      welcome(e);
    else if (e.gone)
      showLine('line', 'some messages are gone');
    if (restarted || epoch === '')
      last = 0;
    epoch = e.epoch;
    hello = e.id;
    log().setAttribute('aria-live', 'off'); /* the history is there to be read, not to be recited */
    if (restarted)
      giveBack();
  },
  say: (e, counts) => showSaid(e, counts),
  private: (e, counts) => showSaid(e, counts),
  me: (e) => showLine('line', bold(e.from), ` ${e.text}`),
  /* Which members are here the hello has said: of what was before it nothing changes that. */
  join(e) {
    if (e.id > hello)
      add(e.from);
    if (e.from !== name)
      showLine('line', bold(e.from), ' joined');
    else if (e.id > hello)
      goLive();
  },
  leave(e) {
    if (e.id > hello)
      remove(e.from);
    if (e.from !== name)
      showLine('line', bold(e.from), ` ${e.text || 'left'}`);
  },
  nick(e) {
    if (e.id > hello) {
      remove(e.from);
      if (e.from === name)
        name = kept(sessionStorage, 'name', e.text) || e.text;
      add(e.text);
    }
    showLine('line', bold(e.from), ' is now ', bold(e.text));
  },
  note(e) {
    if (!entered)
      return refuse(e.text);
    if (e.text.startsWith('slow down'))
      giveBack(1);
    showLine('line note', e.text);
  },
  bye(e) {
    showLine('line', e.text);
  },
};

/* What has been missed is shown: from here on events are of now, and what has not come back was not said. */
function goLive() {
  giveBack();
  setTimeout(() => log().setAttribute('aria-live', 'polite'));
}

function take(e) {
  if (e.id && e.t !== 'hello') {
    if (e.id <= last)
      return;
    last = e.id;
  }
  if (e.at)
    startDay(e.at);
  if ((e.t === 'say' || e.t === 'me') && e.from === name && pending.length)
    pending.shift();
  const isNew = e.t === 'private' || (e.id > hello && (e.t === 'say' || e.t === 'me') && e.from !== name);
  does[e.t]?.(e, isNew);
  if (isNew && !seen())
    count(unread + 1);
}

/* ---- The connection ---- */

function become(what) {
  state = document.body.dataset.state = what;
  $('state').textContent = { here: 'online', joining: 'connecting' }[what] || 'not connected';
  $('send').disabled = what !== 'here';
  $('lost').hidden = what !== 'lost';
}
function enter(as) {
  entered = true;
  wait = 0;
  name = as;
  kept(sessionStorage, 'name', as);
  if (state !== 'here') {
    become('here');
    if (!matchMedia('(pointer: coarse)').matches)
      $('text').focus();
  }
  showFeatures();
}
function refuse(why) {
  become('door');
  const free = why.match(/; (\S+) is free$/);
  $('refused').textContent = why;
  $('name').value = free ? free[1] : name;
  $('name').focus();
  $('name').select();
}
function leaveTo(text) {
  epoch = '';
  name = kept(sessionStorage, 'name', '');
  $('door-text').textContent = text;
  become('door');
  $('name').focus();
}

function connect() {
  clearInterval(retry);
  if (state === 'lost')
    $('lost-text').textContent = 'Connecting ...';
  entered = false;
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const place = epoch && `&after=${epoch}.${last}`;
  const mine = socket = new WebSocket(`${scheme}://${location.host}/chat?key=${key}${place}`);
  mine.onopen = () => mine.send(name);
  mine.onmessage = (message) => {
    if (mine === socket)
      take(JSON.parse(message.data));
  };
  mine.onclose = (e) => {
    if (mine === socket)
      closed(e);
  };
}
function closed(e) {
  socket = null;
  if (e.code === 4001)
    return leaveTo('You were asked to leave.');
  if (e.code === 1000 && entered)
    return leaveTo('You have left. Come in again?');
  if (state === 'door')
    return; /* the name was refused, and the server has not waited for another */
  if (state === 'joining' && epoch === '') {
    become('door');
    $('refused').textContent = 'The server does not answer.';
    return;
  }
  become('lost');
  wait = Math.min(10, wait ? wait * 2 : 0.5);
  again = performance.now() + 1000 * wait * (0.5 + Math.random() / 2);
  retry = setInterval(showWait, 250);
  showWait();
}
function showWait() {
  const left = again - performance.now();
  if (left <= 0)
    return connect();
  $('lost-text').textContent = `Connection lost. Again in ${Math.ceil(left / 1000)} s`;
}
function now() {
  if (state === 'lost' && !socket)
    connect();
}

/* ---- Writing ---- */

/* Lines that the room has not taken go back to where they were written. */
function giveBack(most = pending.length) {
  const lines = pending.splice(0, most);
  if (lines.length === 0)
    return;
  $('text').value = [...lines, $('text').value].filter((text) => text).join(' ');
  fit();
}
function fit() {
  const text = $('text'), bytes = size(text.value);
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight + 2}px`;
  $('hint').textContent = bytes > TEXT_MAX - 100 ? `${bytes} of ${TEXT_MAX} bytes` : '';
}
function send() {
  const line = $('text').value.replace(/\s*\n\s*/g, ' ').trim();
  if (!line || size(line) > TEXT_MAX || state !== 'here')
    return;
  socket.send(line);
  if (!line.startsWith('/') || line.startsWith('/me '))
    pending.push(line);
  sentLines.push(line);
  recalled = sentLines.length;
  $('text').value = '';
  fit();
  toEnd();
}
function recall(by) {
  recalled = Math.max(0, Math.min(sentLines.length, recalled + by));
  $('text').value = sentLines[recalled] || '';
  fit();
}
function typed(e) {
  const text = $('text');
  if (e.key === 'Enter' && !e.isComposing) {
    e.preventDefault();
    send();
  } else if (e.key === 'Escape' && !document.body.dataset.sheet) {
    text.value = '';
    recalled = sentLines.length;
    fit();
  } else if (e.key === 'ArrowUp' && (text.value === '' || text.value === sentLines[recalled])) {
    e.preventDefault();
    recall(-1);
  } else if (e.key === 'ArrowDown' && text.value !== '' && text.value === sentLines[recalled]) {
    e.preventDefault();
    recall(1);
  }
}

/* ---- Sheets, and what the server does ---- */

const wide = matchMedia('(min-width: 1000px)');

function openSheet(which) {
  document.body.dataset.sheet = which;
  $(`show-${which}`).setAttribute('aria-expanded', 'true');
  $(which).focus();
  watchTasks();
}
function closeSheet() {
  const which = document.body.dataset.sheet;
  if (!which)
    return;
  delete document.body.dataset.sheet;
  $(`show-${which}`).setAttribute('aria-expanded', 'false');
  $(`show-${which}`).focus();
  watchTasks();
}

async function showFeatures() {
  try {
    features = features || await (await fetch('/features')).json();
  } catch {
    return; /* asked again with the next connection */
  }
  if (features.lines) {
    $('by-nc').hidden = false;
    $('by-nc').querySelector('code').textContent = features.lines;
  }
  if (features.panel) {
    document.body.dataset.panel = '';
    $('panel').hidden = $('show-panel').hidden = false;
  }
  watchTasks();
}
/* Only while it can be seen: the server walks through its tasks for each that looks. */
function watchTasks() {
  const wanted = features?.panel && state !== 'lost' && document.visibilityState === 'visible' &&
    (wide.matches || document.body.dataset.sheet === 'panel');
  if (!wanted) {
    tasks?.close();
    tasks = null;
  } else if (!tasks || tasks.readyState === EventSource.CLOSED) {
    tasks = new EventSource('/tasks');
    tasks.addEventListener('tree', (e) => showTree(e.data));
    tasks.addEventListener('load', (e) => { $('load').textContent = e.data; });
  }
}
function showTree(text) {
  const lines = text.trimEnd().split('\n').map((line) => {
    const [, lead, rest] = line.match(/^([ │├└─]*)(.*)$/);
    const [what, waits] = rest.split('\t');
    const of = what.match(/^member (.*)$/);
    const title = of ? tinted(element('span', 'member', of[1]), of[1]) : element('span', '', what);
    const does = (waits || '').replace(/127\.0\.0\.1(?=:)/g, '');
    const made = element('div', '', element('span', 'lead', lead), title, ' ', element('span', 'does', does));
    made.title = rest.replace('\t', ' ');
    return made;
  });
  $('tree').replaceChildren(...lines);
}

/* ---- The beginning ---- */

document.addEventListener('DOMContentLoaded', () => {
  const theme = kept(localStorage, 'theme');
  for (const choice of document.querySelectorAll('#theme input')) {
    choice.checked = choice.value === theme;
    choice.addEventListener('change', () => { kept(localStorage, 'theme', choice.value); paint(); });
  }
  $('enter').addEventListener('submit', (e) => {
    e.preventDefault();
    name = $('name').value.trim();
    $('refused').textContent = '';
    become('joining');
    if (socket?.readyState === WebSocket.OPEN)
      socket.send(name); /* it has refused another */
    else
      connect();
  });
  $('composer').addEventListener('submit', (e) => { e.preventDefault(); send(); $('text').focus(); });
  $('text').addEventListener('keydown', typed);
  $('text').addEventListener('input', fit);
  $('now').addEventListener('click', now);
  $('newer').addEventListener('click', () => { toEnd(); $('text').focus(); });
  log().addEventListener('scroll', () => { if (atEnd()) { below = 0; $('newer').hidden = true; } });
  for (const which of ['people', 'panel'])
    $(`show-${which}`).addEventListener('click', () => openSheet(which));
  $('shade').addEventListener('click', closeSheet);
  document.addEventListener('keydown', (e) => { if (e.key === 'Escape') closeSheet(); });
  document.addEventListener('visibilitychange', () => { if (seen()) count(0); watchTasks(); });
  addEventListener('focus', () => count(0));
  addEventListener('online', now);
  addEventListener('resize', () => { if (below === 0) toEnd(); });
  wide.addEventListener('change', () => { delete document.body.dataset.sheet; watchTasks(); });
  showFeatures();
  name = kept(sessionStorage, 'name');
  if (name) {
    become('joining');
    connect();
  } else {
    become('door');
    $('name').focus();
  }
});
})();
