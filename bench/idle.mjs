// Many idle Socket.IO connections on /chat for a while: are they all still there at the end, and what do they cost?
//
//   node bench/idle.mjs --sockets 20000 --secs 600 --data FOLDER [--first N] [--parlord PIDFILE]
//
// `bench/run idle` starts a stack and calls it. Settings of the stack by environment, as `./dev env` prints them,
// and PARLOR_JWT_SECRET to sign tokens with; --data is its PARLOR_DATA, for the process ids. Each socket is of a
// user of its own (--first: its number), in a room of 1000; raw WebSockets, for the official client would weigh more than
// what is measured.
// At the end one message goes to each room, and every socket must get it.
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
    options: {
        sockets: { type: 'string', default: '20000' },
        secs: { type: 'string', default: '600' },
        first: { type: 'string', default: '0' },
        data: { type: 'string' },
        parlord: { type: 'string' },
    },
});
const SOCKETS = Number(values.sockets);
const SECS = Number(values.secs);
const FIRST = Number(values.first);
if (!(SOCKETS >= 1 && SOCKETS <= 200_000 && SECS >= 1 && SECS <= 7200)) throw new Error('1 to 200000 sockets, 1 to 7200 seconds');
const ROOM_SIZE = 1000;
const CONNECTING_MAX = 200; // at once
const PORTS_AN_ADDRESS = 20_000; // then the next source address: 127.0.0.1, .2, ...
const REPORT_S = 60;
const DELIVERY_MS = 30_000;
const { PARLOR_URL, PARLOR_JWT_SECRET, PARLOR_DATA = values.data } = process.env;
const { hostname, port } = new URL(PARLOR_URL);

const base64 = (value) => Buffer.from(value).toString('base64url');
const nameOf = (i) => `idle-${FIRST + i}`;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function token(user) {
    const claims = JSON.stringify({ sub: user, exp: Math.floor(Date.now() / 1000) + SECS + 3600 });
    const text = `${base64('{"alg":"HS256","typ":"JWT"}')}.${base64(claims)}`;
    return `${text}.${createHmac('sha256', PARLOR_JWT_SECRET).update(text).digest('base64url')}`;
}

// A short text frame as a client sends it, under a mask of zeros.
function textFrame(text) {
    const payload = Buffer.from(text);
    const header = payload.length < 126 ? Buffer.from([0x81, 0x80 | payload.length]) : Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 255]);
    return Buffer.concat([header, Buffer.alloc(4), payload]);
}
const PONG = textFrame('3');

// What all sockets have seen together.
const seen = { connected: 0, lost: 0, pings: 0, messages: 0, reasons: new Map() };

function lose(reason) {
    seen.lost++;
    seen.reasons.set(reason, (seen.reasons.get(reason) ?? 0) + 1);
}

// Resolves when /chat has accepted it; stays, answers pings and counts new_message.
function open(i) {
    return new Promise((resolve, reject) => {
        const user = nameOf(i);
        const socket = connect({ host: hostname, port: Number(port), localAddress: `127.0.0.${1 + Math.floor(i / PORTS_AN_ADDRESS)}` });
        let rest = Buffer.alloc(0);
        let upgraded = false;
        let accepted = false;
        socket.setNoDelay(true);
        socket.write(`GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\n`
            + `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`);
        const onText = (text) => {
            if (text[0] === '0') socket.write(textFrame(`40/chat,{"token":"${token(user)}"}`));
            else if (text === '2') seen.pings++, socket.write(PONG);
            else if (text.startsWith('40/chat,')) accepted = true, seen.connected++, resolve(socket);
            else if (text.startsWith('44')) reject(new Error(text));
            else if (text.startsWith('42/chat,["new_message"')) seen.messages++;
        };
        socket.on('data', (bytes) => {
            rest = rest.length ? Buffer.concat([rest, bytes]) : bytes;
            if (!upgraded) {
                const end = rest.indexOf('\r\n\r\n');
                if (end < 0) return;
                if (!rest.subarray(0, 12).equals(Buffer.from('HTTP/1.1 101'))) return void reject(new Error(rest.subarray(0, 60).toString()));
                upgraded = true;
                rest = rest.subarray(end + 4);
            }
            for (;;) {
                const wide = rest[1] === 126;
                const size = wide ? rest.length >= 4 && rest.readUInt16BE(2) : rest[1];
                const from = wide ? 4 : 2;
                if (rest.length < 2 || rest.length < from + size) break;
                if ((rest[0] & 15) === 1) onText(rest.toString('utf8', from, from + size));
                rest = rest.subarray(from + size);
            }
            if (rest.length === 0) rest = Buffer.alloc(0);
        });
        socket.on('error', (error) => (accepted ? lose(error.code) : reject(error)));
        socket.on('end', () => accepted && lose('closed by the server'));
    });
}

const pid = (name) => Number(readFileSync((name === 'parlord' && values.parlord) || `${PARLOR_DATA}/run/${name}.pid`, 'utf8'));
const processes = Object.fromEntries(['parlord', 'mosquitto'].map((name) => [name, pid(name)]));

function cost(name) {
    const id = processes[name];
    const rss = Number(readFileSync(`/proc/${id}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]);
    const [user, system] = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).map(Number);
    return { rss, cpu: (user + system) / 100 };
}

async function rest(method, path, user, body) {
    const response = await fetch(`${PARLOR_URL}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token(user)}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
}

async function makeRooms() {
    const rooms = [];
    for (let first = 0; first < SOCKETS; first += ROOM_SIZE) {
        const others = Array.from({ length: Math.min(ROOM_SIZE, SOCKETS - first) - 1 }, (_, i) => nameOf(first + 1 + i));
        rooms.push((await rest('POST', '/chat/rooms', nameOf(first), { type: 'group', name: nameOf(first), participantIds: others })).id);
    }
    return rooms;
}

async function openAll() {
    const began = Date.now();
    let next = 0;
    const one = async () => {
        while (next < SOCKETS) await open(next++);
    };
    await Promise.all(Array.from({ length: CONNECTING_MAX }, one));
    return (Date.now() - began) / 1000;
}

const report = (at) => {
    const [service, broker] = [cost('parlord'), cost('mosquitto')];
    console.log(`${String(at).padStart(5)} s  alive ${seen.connected - seen.lost}  lost ${seen.lost}  pings ${seen.pings}  `
        + `parlord ${service.rss} kB ${service.cpu.toFixed(1)} s  mosquitto ${broker.rss} kB ${broker.cpu.toFixed(1)} s`);
    return service;
};

const rooms = await makeRooms();
const before = report(0);
const connecting = await openAll();
console.log(`${SOCKETS} sockets in ${connecting.toFixed(1)} s`);
await pause(5000);
const settled = report(5);
let last = settled;
for (let at = 0; at < SECS;) {
    const step = Math.min(REPORT_S, SECS - at);
    await pause(step * 1000);
    last = report((at += step));
}
for (const [i, room] of rooms.entries()) await rest('POST', `/chat/rooms/${room}/messages`, nameOf(i * ROOM_SIZE), { content: 'are you there' });
for (let waited = 0; seen.messages < SOCKETS && waited < DELIVERY_MS; waited += 100) await pause(100);
const kept = seen.lost === 0 && seen.messages === SOCKETS;
console.log(`${kept ? 'all there' : 'NOT ALL THERE'}: lost ${seen.lost} ${JSON.stringify([...seen.reasons])}, one message to each room reached ${seen.messages} sockets`);
console.log(`RSS a socket ${((settled.rss - before.rss) / SOCKETS).toFixed(2)} kB, grown over ${SECS} s by ${last.rss - settled.rss} kB; `
    + `CPU of parlord ${((1e6 * (last.cpu - settled.cpu)) / SECS / SOCKETS).toFixed(1)} us a socket and second`);
process.exit(kept ? 0 : 1);
