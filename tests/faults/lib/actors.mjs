// Those who use a Parlor while things break: senders, observers, an editor, a reader, and a doorkeeper who removes a
// guest and lets it in again. What they do and see goes into a History. Each goes on until `run.over`; what fails is
// tried again, as clients do.
import { randomUUID } from 'node:crypto';
import { pause, until } from '../../integration/lib/events.mjs';

const ANSWER_MS = 2500;
const TRANSIENT = ['unavailable', 'database_unavailable', 'broker_unavailable', 'busy', 'rate_limited', 'starting'];
const UNKNOWN = ['uncertain', undefined];

// One run's surroundings: stack, history, random (0 to 1), rooms, over, db (a connection for questions, may be away).
export class Sender {
    constructor(run, user, doors, rooms) {
        Object.assign(this, { run, user, doors, rooms, sent: 0 });
    }

    async attempt(door, room, draft) {
        const { history } = this.run;
        const attempt = history.begin(room, this.user.id, draft, door.kind);
        const from = Date.now();
        const connection = door.connection;
        const answer = await door.send(room, draft, ANSWER_MS).catch(() => ({ status: 'unknown' }));
        if (answer.status === 'rejected' && UNKNOWN.includes(answer.code)) answer.status = 'unknown';
        // The library sends again by itself what had no PUBACK when the connection broke: that is an attempt of its own.
        if (answer.status === 'rejected' && door.connection !== connection) answer.status = 'unknown';
        history.end(attempt, answer);
        this.run.count(`${door.kind} ${answer.status} ${answer.code ?? ''}`, Date.now() - from);
        return answer;
    }

    // A message until it is stored, refused for good, or given up; a resend may go by another door.
    async message(room, { insist = false, patience = 0.75 } = {}) {
        const draft = { content: `${this.user.id}:${++this.sent}`, clientMessageId: randomUUID() };
        for (let tries = 0; tries < 200; tries++) {
            const answer = await this.attempt(this.run.pick(this.doors), room, draft);
            if (answer.status === 'stored') return { ...answer, draft };
            if (answer.status === 'rejected' && !TRANSIENT.includes(answer.code)) return null;
            if (!insist && (this.run.random() > patience || this.run.over)) return null;
            await pause(50 + this.run.random() * 150);
        }
        if (insist) throw new Error(`${this.user.id} can't send after the end of all faults`);
        return null;
    }

    async live() {
        while (!this.run.over) {
            const room = this.run.pick(this.rooms);
            const known = await this.message(room);
            // Sometimes the same again, and sometimes another body under its id: neither stores anything.
            if (known && this.run.random() < 0.1) await this.attempt(this.run.pick(this.doors), room, known.draft);
            if (known && this.run.random() < 0.05)
                await this.attempt(this.run.pick(this.doors), room, { ...known.draft, content: 'another' });
            await pause(this.run.random() * 30);
        }
    }

    // The last word in each room: whatever this sender had on its way on a connection is over.
    async end() {
        for (const room of this.rooms) await this.message(room, { insist: true });
    }
}

// Opens a door of a kind that connects again by itself.
export async function openDoor(user, kind, name) {
    const options = { mqtt: { keep: true, clientId: `${user.id}:${name}`, clean: true }, socket: {}, rest: {} }[kind];
    const door = await user.door(kind, options);
    Object.assign(door, { kind, connection: 0 });
    if (kind === 'mqtt') door.client.on('connect', () => door.connection++);
    return door;
}

class Observer {
    constructor(run, user, rooms, name, steady) {
        Object.assign(this, { run, user, rooms, steady, name: `${user.id}/${name}`, connection: 0 });
        this.last = new Map(rooms.map((room) => [room, 0]));
    }

    // A message that came: what the client knows already it doesn't show, nor a change of one that it does not know yet.
    note(source, m, fresh, connection = this.connection) {
        const shown = (fresh || source !== 'live') && m.seq > this.last.get(m.chatRoomId);
        if (shown) this.last.set(m.chatRoomId, m.seq);
        this.run.history.saw({
            observer: this.name, user: this.user.id, connection, steady: this.steady, source, fresh, shown,
            room: m.chatRoomId, seq: m.seq, id: m.id, rev: m.rev, content: m.content,
        });
        if (this.run.random() < 0.2) this.run.checkCommitted(this.name, m);
    }

    // For whoever looks into a failure.
    state() {
        const there = this.door.client?.connected ?? this.door.socket?.connected;
        return `is ${there ? '' : 'not '}connected (${this.connection}), ${this.kept ? `keeps ${this.kept.length} back` : 'shows'}, ${this.stage ?? ''}`;
    }

    caughtUp(heads) {
        return this.rooms.every((room) => this.last.get(room) >= heads.get(room));
    }
}

// By MQTT: what is new is shown as it comes; behind each connect it is kept back until GET has given what was missed.
export class MqttObserver extends Observer {
    static async open(run, user, rooms, { name, clean = true, steady = true }) {
        const o = new MqttObserver(run, user, rooms, name, steady);
        const topics = rooms.flatMap((room) => [`chat/v1/rooms/${room}/messages`, `chat/v1/rooms/${room}/receipts`]);
        o.door = await user.mqtt({ keep: true, clientId: `${user.id}:${name}`, clean, subscribe: topics });
        o.kept = [];
        o.door.seen.push = (m) => (o.kept ? o.kept.push([m, o.connection]) : o.note('live', m, m.rev === 0));
        o.door.other.push = ({ topic, text }) => topic.endsWith('/receipts') && o.#receipt(JSON.parse(text));
        o.door.client.on('connect', () => o.#connected(topics));
        await o.#catchUp();
        return o;
    }

    #receipt({ chatRoomId, userId, readSeq, deliveredSeq }) {
        const { name, connection } = this;
        this.run.history.marks.push({ observer: name, connection, room: chatRoomId, user: userId, readSeq, deliveredSeq });
    }

    #connected(topics) {
        this.connection++;
        this.kept ??= [];
        const { connection } = this;
        this.stage = 'subscribes';
        this.#subscribe(topics, connection).then(() => this.#catchUp(connection)).catch((error) => (this.stage = error.message));
    }

    // A broker that is up before its database refuses: a client asks again.
    async #subscribe(topics, connection) {
        await until('the subscription is granted', async () => {
            if (connection !== this.connection || this.run.closed) return true;
            const done = await this.door.client.subscribeAsync(topics, { qos: 1 }).catch(() => null);
            if (!done) this.run.count('subscription refused', 0);
            return done || !this.steady;
        }, 60_000);
    }

    async #catchUp(connection = this.connection) {
        this.stage = 'asks';
        for (const room of this.rooms) {
            const list = await until('GET answers', async () => {
                if (connection !== this.connection || this.run.closed) return [];
                return this.user.history(room, this.last.get(room)).catch((error) => (this.steady ? null : String(error).includes('404') && []));
            }, 90_000).catch(() => []);
            if (connection !== this.connection) return;
            for (const m of list) this.note('GET', m, false);
        }
        this.stage = 'hears';
        const kept = this.kept ?? [];
        this.kept = null;
        for (const [m, from] of kept) this.note('live', m, m.rev === 0, from);
    }
}

// By Socket.IO, as README.md says a client does it.
export class SocketObserver extends Observer {
    static async open(run, user, rooms, { name, transports = ['websocket'], steady = true }) {
        const o = new SocketObserver(run, user, rooms, name, steady);
        o.door = await user.socket({ transports });
        o.door.seen.push = (m) => (o.kept ? o.kept.push([m, o.connection]) : o.note('live', m, true));
        o.kept = [];
        o.door.other.push = ({ event, args }) => event === 'message_updated' && o.#changed(args[0].message);
        o.door.socket.on('connect', () => o.#connected());
        await o.#join(0);
        return o;
    }

    #changed(message) {
        if (message) this.note('live', message, false);
    }

    #connected() {
        this.connection++;
        this.kept ??= [];
        this.#join(this.connection).catch(() => {});
    }

    // Until it is answered, on this connection. What comes live meanwhile is shown behind what was missed.
    async #join(connection) {
        for (const room of this.rooms) {
            let more = true;
            for (let tries = 0; more && tries < 200 && connection === this.connection && !this.run.closed; tries++) {
                const afterSeq = this.last.get(room);
                const answer = await this.door.emit('join_chat', { chatRoomId: room, afterSeq }, ANSWER_MS).catch(() => ({}));
                for (const m of answer.missed ?? []) this.note('missed', m, true);
                more = answer.status !== 'ok' || answer.hasMore;
                if (answer.code === 'room_not_found' && !this.steady) break;
                if (more) await pause(100);
            }
        }
        if (connection !== this.connection) return;
        const kept = this.kept ?? [];
        this.kept = null;
        for (const [m, from] of kept) this.note('live', m, true, from);
    }
}

// Reads, and says so by REST and MQTT.
export class Reader {
    constructor(run, user, rooms, door) {
        Object.assign(this, { run, user, rooms, door });
    }

    async live() {
        const { history } = this.run;
        while (!this.run.over) {
            const room = this.run.pick(this.rooms);
            const seq = Math.max(1, ...history.sightings.slice(-50).filter((s) => s.room === room).map((s) => s.seq));
            if (this.run.random() < 0.5) {
                const topic = `chat/v1/rooms/${room}/${this.run.random() < 0.5 ? 'read' : 'delivered'}/${this.user.id}`;
                this.door.client.publish(topic, JSON.stringify({ seq }), { qos: 0 });
            } else {
                const answer = await this.user.rest('PATCH', `/chat/rooms/${room}/read`, { seq }).catch(() => ({}));
                if (answer.status === 200) history.markAnswers.push({ room, user: this.user.id, readSeq: answer.body.readSeq });
            }
            await pause(50 + this.run.random() * 200);
        }
    }
}

// Edits what it has sent, one at a time.
export class Editor {
    constructor(run, sender) {
        Object.assign(this, { run, sender });
    }

    async live() {
        const { history } = this.run;
        for (let n = 1; !this.run.over; n++) {
            await pause(100 + this.run.random() * 300);
            const mine = [...history.messages.values()].filter((m) => m.user === this.sender.user.id);
            const known = mine.slice(-20).flatMap((m) => m.attempts).filter((a) => a.outcome === 'stored');
            if (known.length === 0) continue;
            const edit = { id: this.run.pick(known).id, content: `edit ${n}` };
            history.edits.push(edit);
            const answer = await this.sender.user.rest('PATCH', `/chat/messages/${edit.id}`, { content: edit.content }).catch(() => ({}));
            if (answer.status === 200) Object.assign(edit, { answered: true, rev: answer.body.rev });
        }
    }
}

// Removes the guest from the room and, when that is answered, speaks behind its back; then lets it in again.
export class Doorkeeper {
    constructor(run, owner, speaker, guest, room) {
        Object.assign(this, { run, owner, speaker, guest, room, removals: 0 });
    }

    async #ask(method, path, body, done) {
        return until(`${method} ${path}`, async () => {
            const answer = await this.owner.rest(method, path, body).catch(() => ({}));
            return done.includes(answer.status) || this.run.closed;
        }, 90_000);
    }

    async live() {
        const { history } = this.run;
        const path = `/chat/rooms/${this.room}/participants`;
        while (!this.run.over) {
            await pause(this.run.random() * 400);
            await this.#ask('PATCH', `${path}/${this.guest.user.id}/remove`, undefined, [200, 404]);
            const away = { room: this.room, user: this.guest.user.id, from: history.tick(), to: Infinity };
            history.absences.push(away);
            for (let i = 0; i < 3; i++) await this.speaker.message(this.room);
            await pause(this.run.random() * 300);
            away.to = history.tick();
            await this.#ask('POST', path, { userId: this.guest.user.id }, [200, 201]);
            this.removals++;
        }
    }
}
