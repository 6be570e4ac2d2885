// What was asked, answered and seen during a run, in the order of one program's time; and what must be true of it,
// whatever broke meanwhile. Pure: history.test.mjs gives it histories that are wrong, one for each rule.
//
// An attempt ends as stored, rejected (it was certainly not stored) or unknown. `tick` orders everything: what has a
// smaller tick than something else was over before that began.

export class History {
    constructor() {
        this.ticks = 0;
        this.messages = new Map(); // by clientMessageId: {room, user, content, attempts}
        this.sightings = []; // {observer, connection, steady, source, fresh, shown, room, seq, id, rev, content, tick}:
    // source is live, missed (join_chat's) or GET; fresh: told as new, not as changed; shown: the client knew it not
        this.absences = []; // {room, user, from, to}: removed and answered at from, asked to come back at to
        this.marks = []; // {observer, connection, room, user, readSeq, deliveredSeq}
        this.markAnswers = []; // {room, user, readSeq}
        this.edits = []; // {id, content, asked, done, answered, rev}
        this.uncommitted = []; // seen, and not in the database when asked on another connection
        this.slow = []; // rejections that came too late
    }

    tick() {
        return ++this.ticks;
    }

    begin(room, user, draft, door) {
        const key = draft.clientMessageId;
        if (!this.messages.has(key)) this.messages.set(key, { key, room, user, content: draft.content, attempts: [] });
        const attempt = { door, content: draft.content, asked: this.tick(), outcome: 'unknown', answered: Infinity };
        this.messages.get(key).attempts.push(attempt);
        return attempt;
    }

    end(attempt, { status, code, id, seq }) {
        if (status !== 'stored' && status !== 'rejected') return;
        Object.assign(attempt, { outcome: status, code, id, seq, answered: this.tick() });
    }

    saw(sighting) {
        this.sightings.push({ ...sighting, tick: this.tick() });
    }

    // Every broken rule, as a text. rows: those of chat_messages; gets: by room, what GET gives; participants: rows.
    check({ rows, gets, participants }) {
        const world = new World(this, rows, gets, participants);
        return RULES.flatMap((rule) => rule(world));
    }
}

class World {
    constructor(history, rows, gets, participants) {
        Object.assign(this, { history, rows, gets, participants });
        this.byKey = new Map(rows.map((r) => [r.client_message_id, r]));
        this.bySeq = new Map(rows.map((r) => [`${r.room_id} ${r.seq}`, r]));
        this.byId = new Map(rows.map((r) => [r.id, r]));
        this.rooms = new Map();
        for (const row of rows) {
            if (!this.rooms.has(row.room_id)) this.rooms.set(row.room_id, []);
            this.rooms.get(row.room_id).push(row);
        }
        for (const list of this.rooms.values()) list.sort((a, b) => a.seq - b.seq);
    }
}

const stored = (m) => m.attempts.filter((a) => a.outcome === 'stored');

function* groups(items, name) {
    const found = new Map();
    for (const item of items) {
        const key = name(item);
        if (!found.has(key)) found.set(key, []);
        found.get(key).push(item);
    }
    yield* found;
}

// Every stored ack is there, once, with that id and seq, and what was said.
function ackedIsStored({ history, byKey }) {
    const broken = [];
    for (const m of history.messages.values())
        for (const a of stored(m)) {
            const row = byKey.get(m.key);
            if (!row) broken.push(`acked and lost: ${m.key} seq ${a.seq}`);
            else if (row.id !== a.id || row.seq !== a.seq || row.room_id !== m.room)
                broken.push(`acked as ${a.seq} ${a.id}, stored as ${row.seq} ${row.id}: ${m.key}`);
            else if (a.content !== m.content) broken.push(`another body was taken for a resend: ${m.key}`);
        }
    return broken;
}

function nothingTwice({ rows }) {
    return [...groups(rows, (r) => `${r.room_id} ${r.sender_id} ${r.client_message_id}`)]
        .filter(([, same]) => same.length > 1)
        .map(([key, same]) => `stored ${same.length} times: ${key}`);
}

// What nobody sent is not there; nor is what was rejected each time.
function onlyWhatWasSent({ history, rows }) {
    const broken = [];
    for (const row of rows) {
        const m = history.messages.get(row.client_message_id);
        if (!m) broken.push(`nobody sent seq ${row.seq}: ${row.client_message_id}`);
        else if (m.user !== row.sender_id || m.room !== row.room_id) broken.push(`stored as another's: ${m.key}`);
        else if (m.attempts.every((a) => a.outcome === 'rejected'))
            broken.push(`rejected (${m.attempts.map((a) => `${a.door} ${a.code}`)}) and stored as seq ${row.seq}: ${m.key}`);
    }
    return broken;
}

function noSeqIsMissing({ rooms }) {
    const broken = [];
    for (const [room, list] of rooms)
        list.forEach((row, i) => row.seq !== i + 1 && broken.push(`room ${room} has seq ${row.seq} in place ${i + 1}`));
    return broken;
}

// What was acked before something else was sent comes before it in its room.
function orderOfTime({ history }) {
    const broken = [];
    for (const [room, all] of groups(history.messages.values(), (m) => m.room)) {
        const known = all.filter((m) => stored(m).length > 0).map((m) => ({
            key: m.key,
            seq: stored(m)[0].seq,
            asked: m.attempts[0].asked,
            done: Math.min(...stored(m).map((a) => a.answered)),
        }));
        const ends = [...known].sort((a, b) => a.done - b.done);
        let at = 0;
        let newest = 0;
        for (const m of known.sort((a, b) => a.asked - b.asked)) {
            for (; at < ends.length && ends[at].done < m.asked; at++) newest = Math.max(newest, ends[at].seq);
            if (m.seq <= newest) broken.push(`room ${room}: seq ${m.seq} was sent after ${newest} had been acked`);
        }
    }
    return broken;
}

// What was seen is what is stored, and was stored when it was seen.
function seenIsStored({ history, bySeq }) {
    const broken = history.uncommitted.map((s) => `seen before its commit: seq ${s.seq} by ${s.observer}`);
    for (const s of history.sightings) {
        const row = bySeq.get(`${s.room} ${s.seq}`);
        if (!row || row.id !== s.id) broken.push(`${s.observer} saw seq ${s.seq} ${s.id}; stored is ${row?.id}`);
        else if (s.rev > row.rev) broken.push(`${s.observer} saw seq ${s.seq} with rev ${s.rev}; stored is ${row.rev}`);
        else if (s.rev === row.rev && s.content !== row.content)
            broken.push(`${s.observer} saw seq ${s.seq} as ${s.content}; stored is ${row.content}`);
    }
    return broken;
}

const live = (s) => s.source === 'live';

// On one connection new messages come in order of seq, each once; without a hole for who was in the room all along,
// but for what join_chat's answer brought on that connection.
function liveInOrder({ history }) {
    const broken = [];
    for (const [name, list] of groups(history.sightings.filter((s) => s.fresh), (s) => `${s.observer} #${s.connection} ${s.room}`)) {
        const missed = new Set(list.filter((s) => s.source === 'missed').map((s) => s.seq));
        const came = list.filter(live);
        for (let i = 1; i < came.length; i++) {
            let next = came[i - 1].seq + 1;
            while (next < came[i].seq && missed.has(next)) next++;
            if (came[i].steady ? next !== came[i].seq : next > came[i].seq) broken.push(`${name}: ${came[i].seq} after ${came[i - 1].seq}`);
        }
    }
    return broken;
}

// What a client shows (`shown`: what it was given, less what it knew) is 1, 2, 3 to the end.
function shownWithoutGap({ history, rooms }) {
    const broken = [];
    for (const [name, list] of groups(history.sightings.filter((s) => s.steady && s.shown), (s) => `${s.observer} ${s.room}`)) {
        const at = list.findIndex((s, i) => s.seq !== i + 1);
        const told = (s) => (s ? `${s.seq} (${s.source} on #${s.connection})` : 'nothing');
        if (at >= 0) broken.push(`${name} shows ${told(list[at])} behind ${told(list[at - 1])}`);
        const all = rooms.get(list[0].room)?.length ?? 0;
        if (list.length !== all) broken.push(`${name} shows ${list.length} of ${all}`);
    }
    return broken;
}

function forward(list, name, field) {
    const broken = [];
    for (const [key, same] of groups(list, name))
        for (let i = 1; i < same.length; i++)
            if (same[i][field] < same[i - 1][field])
                broken.push(`${key}: ${field} ${same[i][field]} after ${same[i - 1][field]}`);
    return broken;
}

// Revs and marks only move forward. By one connection all changes of a room come in their order.
function onlyForward({ history, participants }) {
    const changed = history.sightings.filter((s) => live(s) && !s.fresh);
    const broken = forward(changed, (s) => `${s.observer} #${s.connection} ${s.room}`, 'rev');
    for (const field of ['readSeq', 'deliveredSeq'])
        broken.push(...forward(history.marks, (m) => `${m.observer} #${m.connection} ${m.user} in ${m.room}`, field));
    for (const { room, user, readSeq } of history.markAnswers) {
        const row = participants.find((p) => p.room_id === room && p.user_id === user);
        if (row && row.read_seq < readSeq) broken.push(`${user} was told ${readSeq} is read; stored is ${row.read_seq}`);
    }
    return broken;
}

// To send is to have read.
function sendersHaveRead({ rooms, participants }) {
    const broken = [];
    for (const p of participants) {
        const own = (rooms.get(p.room_id) ?? []).filter((r) => r.sender_id === p.user_id && r.seq > p.history_seq);
        if (own.length && own.at(-1).seq > p.read_seq)
            broken.push(`${p.user_id} sent ${own.at(-1).seq} and has read ${p.read_seq}`);
    }
    return broken;
}

function answeredEditsStay({ history, byId }) {
    const broken = [];
    for (const [id, list] of groups(history.edits, (e) => e.id)) {
        const row = byId.get(id);
        const last = list.findLastIndex((e) => e.answered);
        if (last < 0) continue;
        if (!row || row.rev < list[last].rev) broken.push(`edit of ${id} was answered as rev ${list[last].rev}; stored is ${row?.rev}`);
        else if (!list.slice(last).some((e) => e.content === row.content))
            broken.push(`edit of ${id} to ${list[last].content} was answered; stored is ${row.content}`);
    }
    return broken;
}

function getAgrees({ rooms, gets }) {
    const broken = [];
    for (const [room, list] of gets) {
        const row = rooms.get(room) ?? [];
        const same = (m, i) => row[i] && m.id === row[i].id && m.seq === row[i].seq && m.rev === row[i].rev && m.content === row[i].content;
        if (list.length !== row.length || !list.every(same)) broken.push(`GET of ${room} gives another history`);
    }
    return broken;
}

// What was said while somebody was away from a room never reaches it; nothing of theirs is stored meanwhile.
function removalHolds({ history }) {
    const broken = [];
    for (const away of history.absences) {
        const during = new Set();
        for (const m of history.messages.values()) {
            if (m.room !== away.room || m.attempts[0].asked < away.from) continue;
            const acks = stored(m).filter((a) => a.answered < away.to);
            if (acks.length === 0) continue;
            during.add(acks[0].seq);
            if (m.user === away.user) broken.push(`${m.user} was removed, and seq ${acks[0].seq} stored`);
        }
        for (const s of history.sightings)
            if (s.user === away.user && s.room === away.room && during.has(s.seq)) {
                const when = s.tick < away.to ? 'then' : 'later';
                broken.push(`${s.observer} was removed, and saw seq ${s.seq} (${s.content}) ${when}, ${s.source}`);
            }
    }
    return broken;
}

function answeredInTime({ history }) {
    return history.slow.map((s) => `${s.door}: ${s.code} after ${s.ms} ms`);
}

const RULES = [
    ackedIsStored, nothingTwice, onlyWhatWasSent, noSeqIsMissing, orderOfTime, seenIsStored, liveInOrder,
    shownWithoutGap, onlyForward, sendersHaveRead, answeredEditsStay, getAgrees, removalHolds, answeredInTime,
];
