// A Socket.IO client that says exactly what it is told, byte by byte: for what the official client would never do.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { EventLog } from './events.mjs';

// A frame as a client sends it. opcode 1: text, 2: binary, 8: close, 9: ping.
export function frame(payload, opcode = 1) {
    const bytes = Buffer.from(payload);
    const mask = randomBytes(4);
    const size = bytes.length;
    const header = size < 126 ? [size] : size < 65536 ? [126, size >> 8, size & 255] : [127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255];
    header[0] |= 0x80;
    return Buffer.concat([Buffer.from([0x80 | opcode, ...header]), mask, bytes.map((b, i) => b ^ mask[i % 4])]);
}

// Text and close frames that came from the server: a text, or {close: status}.
export class WireSocket {
    static async open(stack, { query = 'EIO=4&transport=websocket', path = '/socket.io/', headers = [] } = {}) {
        const wire = new WireSocket();
        wire.heard = new EventLog('frames');
        wire.ended = false;
        wire.socket = connect(stack.httpPort, '127.0.0.1');
        wire.rest = Buffer.alloc(0);
        wire.socket.on('error', () => {});
        wire.socket.on('close', () => (wire.ended = true, wire.heard.push({ end: true })));
        const lines = [`GET ${path}?${query} HTTP/1.1`, 'Host: 127.0.0.1', 'Upgrade: websocket', 'Connection: Upgrade',
            'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, ...headers];
        wire.socket.write(`${lines.join('\r\n')}\r\n\r\n`);
        wire.status = await new Promise((resolve) => wire.socket.on('data', (bytes) => wire.#on(bytes, resolve)));
        return wire;
    }

    #on(bytes, resolve) {
        this.rest = Buffer.concat([this.rest, bytes]);
        if (!this.upgraded) {
            const end = this.rest.indexOf('\r\n\r\n');
            if (end < 0) return;
            const status = Number(this.rest.subarray(9, 12));
            this.upgraded = status === 101;
            this.rest = this.upgraded ? this.rest.subarray(end + 4) : Buffer.alloc(0);
            resolve(status);
        }
        for (;;) {
            if (this.rest.length < 2) return;
            const length = this.rest[1];
            const from = length < 126 ? 2 : length === 126 ? 4 : 10;
            if (this.rest.length < from) return;
            const size = length < 126 ? length : length === 126 ? this.rest.readUInt16BE(2) : Number(this.rest.readBigUInt64BE(2));
            if (this.rest.length < from + size) return;
            const payload = this.rest.subarray(from, from + size);
            const opcode = this.rest[0] & 15;
            this.heard.push(opcode === 8 ? { close: payload.readUInt16BE(0) } : opcode === 1 ? payload.toString() : { opcode, payload: Buffer.from(payload) });
            this.rest = this.rest.subarray(from + size);
        }
    }

    say(text, opcode) {
        this.socket.write(frame(text, opcode));
    }

    // The first text that begins so.
    text(start, ms) {
        return this.heard.find((item) => typeof item === 'string' && item.startsWith(start), ms);
    }

    close() {
        this.socket.destroy();
    }
}

// One request of the polling transport, in the manner of `headers`.
export async function poll(stack, query, { body, path = '/socket.io/', headers = {} } = {}) {
    const response = await fetch(`${stack.url}${path}?${query}`, { method: body === undefined ? 'GET' : 'POST', body, headers, signal: AbortSignal.timeout(30_000) });
    return { status: response.status, text: await response.text(), headers: response.headers };
}

// A session by polling: its query from then on.
export async function openPolling(stack, query = 'EIO=4&transport=polling', options) {
    const { status, text } = await poll(stack, query, options);
    if (status !== 200) throw new Error(`handshake: ${status} ${text}`);
    return `${query}&sid=${JSON.parse(text.slice(1)).sid}`;
}
