// A user of Parlor and the three doors: MQTT (mqtt.js), Socket.IO (the official client) and REST (fetch). Each door
// sends a draft and gives the answer in one shape, {status: 'stored', id, seq, clientMessageId} or
// {status: 'rejected', code}, and keeps a log of the messages that it saw. Everything that comes by any door is held
// against the published contract: by REST at once, by the others at the end of the test at the latest (stack.stop).
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import mqtt from 'mqtt';
import { io } from 'socket.io-client';
import { BASE, checkAck, checkAnswer, checkEvent, checkTopic } from './contract.mjs';
import { EventLog } from './events.mjs';

const base64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

// Any JSON Web Token, well-formed or not: header and claims as given, signed by HMAC-SHA-256 with the key.
export function signToken(claims, key, header = { alg: 'HS256', typ: 'JWT' }) {
    const text = `${base64(header)}.${base64(claims)}`;
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

export const nowSeconds = () => Math.floor(Date.now() / 1000);

// A body as JSON, undefined when it is none.
function parsed(body) {
    if (typeof body !== 'string') return body;
    try {
        return JSON.parse(body);
    } catch {
        return undefined;
    }
}

export class User {
    constructor(stack, id, claims = {}) {
        this.stack = stack;
        this.id = id;
        this.token = signToken({ sub: id, exp: nowSeconds() + 3600, ...claims }, stack.secret);
    }

    // operation: what openapi.yaml calls the route that answered, null where there is none.
    async rest(method, path, body, headers = {}) {
        const response = await fetch(`${this.stack.url}${BASE}${path}`, {
            method,
            headers: {
                authorization: `Bearer ${this.token}`,
                ...(body === undefined ? {} : { 'content-type': 'application/json' }),
                ...headers,
            },
            body: typeof body === 'string' || body === undefined ? body : JSON.stringify(body),
            signal: AbortSignal.timeout(15_000),
        });
        const text = await response.text();
        const answer = { status: response.status, body: text ? JSON.parse(text) : null, headers: response.headers };
        answer.operation = checkAnswer({ method, path: BASE + path.split(/[?#]/)[0], asked: parsed(body), ...answer });
        return answer;
    }

    // All messages of a room by GET, page after page, in rising seq.
    async history(room, after = 0) {
        const all = [];
        for (;;) {
            const at = all.length ? all.at(-1).seq : after;
            const { status, body } = await this.rest('GET', `/chat/rooms/${room}/messages?after=${at}&limit=100`);
            if (status !== 200) throw new Error(`GET messages: ${status} ${JSON.stringify(body)}`);
            all.push(...body.data);
            if (!body.meta.hasMore) return all;
        }
    }

    async door(kind, options) {
        const door = { mqtt: MqttDoor, socket: SocketDoor, rest: RestDoor }[kind];
        return door.open(this, options);
    }

    mqtt(options) {
        return MqttDoor.open(this, options);
    }

    socket(options) {
        return SocketDoor.open(this, options);
    }
}

// Messages by REST, one after the other, each stored; resolves with them.
export async function say(user, room, ...contents) {
    const said = [];
    for (const content of contents) {
        const { status, body } = await user.rest('POST', `/chat/rooms/${room}/messages`, { content });
        assert.equal(status, 201, JSON.stringify(body));
        said.push(body);
    }
    return said;
}

const stored = (message) => ({
    status: 'stored',
    id: message.id,
    seq: message.seq,
    clientMessageId: message.clientMessageId,
});

export class MqttDoor {
    // Connects, subscribes to the user's acks, and with a room to its messages.
    static async open(user, { room, subscribe = [], ...options } = {}) {
        const door = new MqttDoor();
        door.user = user;
        door.room = room;
        door.seen = new EventLog(`messages by MQTT to ${user.id}`);
        door.acks = new EventLog(`acks by MQTT to ${user.id}`);
        door.other = new EventLog(`other topics by MQTT to ${user.id}`);
        door.asked = new Map();
        door.client = await connectMqtt(user.stack, {
            username: user.id,
            password: user.token,
            heard: (topic, payload) => door.#on(topic, payload),
            ...options,
        });
        user.stack.clients.add(door);
        const publish = door.client.publishAsync.bind(door.client);
        door.client.publishAsync = (topic, payload, ...rest) => {
            const [, id] = topic.match(/\/api\/([^/]+)\/[^/]+$/) ?? [];
            if (id) door.asked.set(id, parsed(String(payload)));
            return publish(topic, payload, ...rest);
        };
        // mqtt.js subscribes again by itself after each loss.
        const topics = [`chat/v1/users/${user.id}/acks`, ...subscribe];
        if (room) topics.push(`chat/v1/rooms/${room}/messages`);
        door.granted = await door.client.subscribeAsync(topics, { qos: 1 });
        return door;
    }

    #on(topic, payload) {
        const text = payload.toString();
        this.user.stack.check(() => {
            checkTopic(topic, payload);
            const [, id] = topic.match(/\/replies\/([^/]+)$/) ?? [];
            if (this.asked.get(id)?.path) this.#checkReply(this.asked.get(id), JSON.parse(text));
        });
        if (topic.endsWith('/acks')) this.acks.push(JSON.parse(text));
        else if (topic.endsWith('/messages')) this.seen.push(JSON.parse(text));
        else this.other.push({ topic, text });
    }

    // What was asked may be no request at all: then only the reply's own shape is known.
    #checkReply({ method, path, body }, reply) {
        if (typeof method !== 'string' || typeof path !== 'string' || path.includes('?')) return;
        const whole = path.startsWith(BASE) ? path : BASE + path;
        checkAnswer({ method, path: whole, asked: body, headers: null, ...reply });
    }

    publish(room, payload, qos = 1) {
        return this.client.publishAsync(`chat/v1/rooms/${room}/send/${this.user.id}`, payload, { qos });
    }

    async send(room, draft, ms = 10_000) {
        const clientMessageId = draft.clientMessageId ?? randomUUID();
        const from = this.acks.items.length;
        // A refused publish is an error in MQTT 5 alone; the ack comes in any case.
        await this.publish(room, JSON.stringify({ ...draft, clientMessageId })).catch((error) => {
            if (!error.code) throw error;
        });
        const ack = await this.acks.find((a) => this.acks.items.indexOf(a) >= from && a.clientMessageId === clientMessageId, ms);
        return ack;
    }

    async close() {
        this.user.stack.clients.delete(this);
        await this.client.endAsync(true);
    }
}

// A connected client of mqtt.js; rejects with the broker's reason. keep: goes on trying after the first loss. heard: is
// given every message, also what a persistent session has right behind the CONNACK.
export function connectMqtt(stack, { keep = false, ws = false, heard, ...options } = {}) {
    const url = ws ? `ws://127.0.0.1:${stack.wsPort}` : `mqtt://127.0.0.1:${stack.mqttPort}`;
    const client = mqtt.connect(url, {
        protocolVersion: 4,
        reconnectPeriod: keep ? 200 : 0,
        connectTimeout: 10_000,
        clean: true,
        ...options,
    });
    if (heard) client.on('message', heard);
    return new Promise((resolve, reject) => {
        client.once('connect', () => {
            client.on('error', () => {});
            resolve(client);
        });
        const fail = (error) => {
            if (client.connected || keep) return;
            client.end(true);
            reject(error);
        };
        client.on('error', fail);
        client.once('close', () => fail(new Error('the broker closed the connection')));
    });
}

export class SocketDoor {
    static async open(user, { room, namespace = '/chat', transports = ['websocket'], ...options } = {}) {
        const door = new SocketDoor();
        door.user = user;
        door.room = room;
        door.seen = new EventLog(`messages by Socket.IO to ${user.id}`);
        door.other = new EventLog(`other events by Socket.IO to ${user.id}`);
        door.socket = io(`${user.stack.url}${namespace}`, {
            auth: { token: user.token },
            transports,
            forceNew: true,
            reconnectionDelay: 100,
            reconnectionDelayMax: 500,
            ...options,
        });
        door.socket.onAny((event, ...args) => {
            if (namespace === '/chat') user.stack.check(() => checkEvent(event, args));
            if (event === 'new_message') door.seen.push(args[0].message);
            else door.other.push({ event, args });
        });
        door.socket.on('disconnect', (reason) => door.other.push({ event: 'disconnect', reason }));
        door.socket.on('connect_error', ({ message, data }) => door.other.push({ event: 'connect_error', message, data }));
        await new Promise((resolve, reject) => {
            const refused = (error) => {
                door.socket.close();
                reject(error);
            };
            door.socket.once('connect_error', refused);
            door.socket.once('connect', () => {
                door.socket.off('connect_error', refused); // later ones are for the client to get over
                resolve();
            });
        });
        user.stack.clients.add(door);
        if (room) door.joined = await door.emit('join_chat', { chatRoomId: room });
        return door;
    }

    async emit(event, data, ms = 10_000) {
        const answer = await this.socket.timeout(ms).emitWithAck(event, data);
        this.user.stack.check(() => checkAck(event, answer));
        return answer;
    }

    async send(room, draft, ms = 10_000) {
        const answer = await this.emit('send_message', { chatRoomId: room, ...draft }, ms);
        return answer.status === 'ok' ? stored(answer.message) : { ...answer, status: 'rejected' };
    }

    async close() {
        this.user.stack.clients.delete(this);
        this.socket.close();
    }
}

// REST has no push: what it sees is what GET gives.
export class RestDoor {
    static async open(user, { room } = {}) {
        const door = new RestDoor();
        door.user = user;
        door.room = room;
        door.seen = {
            find: async (passes, ms = 10_000) => {
                const end = Date.now() + ms;
                for (;;) {
                    const found = (await user.history(room)).find(passes);
                    if (found) return found;
                    if (Date.now() > end) throw new Error('messages by GET: no such message');
                }
            },
        };
        return door;
    }

    async send(room, draft) {
        const { status, body } = await this.user.rest('POST', `/chat/rooms/${room}/messages`, draft);
        return status < 300 ? stored(body) : { ...body, status: 'rejected', httpStatus: status };
    }

    async close() {}
}
