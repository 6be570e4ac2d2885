// The rules of lib/history.mjs, each broken on purpose: a checker that finds nothing must have looked.
import assert from 'node:assert/strict';
import test from 'node:test';
import { History } from './lib/history.mjs';

const ROOM = 'room';

// Three messages of alice, seen live by bob, and all is well.
function whole() {
    const history = new History();
    const rows = [];
    for (const seq of [1, 2, 3]) {
        const row = {
            room_id: ROOM, seq, id: `id${seq}`, rev: 0, content: `text${seq}`, sender_id: 'alice', client_message_id: `c${seq}`,
        };
        rows.push(row);
        const attempt = history.begin(ROOM, 'alice', { clientMessageId: row.client_message_id, content: row.content }, 'mqtt');
        history.end(attempt, { status: 'stored', id: row.id, seq });
        see(history, { ...row });
    }
    const participants = [{ room_id: ROOM, user_id: 'alice', read_seq: 3, history_seq: 0 }];
    return { history, rows, gets: new Map([[ROOM, rows.map((r) => ({ ...r }))]]), participants };
}

function see(history, row, more = {}) {
    const { seq, id, rev, content } = row;
    const steady = { observer: 'bob/web', user: 'bob', connection: 1, steady: true, source: 'live', fresh: true, shown: true };
    history.saw({ ...steady, room: ROOM, seq, id, rev, content, ...more });
}

function send(history, key, outcome, user = 'alice') {
    const attempt = history.begin(ROOM, user, { clientMessageId: key, content: key }, 'rest');
    history.end(attempt, outcome);
}

function store(w, key, seq, more = {}) {
    const row = { room_id: ROOM, seq, id: `id${seq}`, rev: 0, content: key, sender_id: 'alice', client_message_id: key, ...more };
    w.rows.push(row);
    w.gets.get(ROOM).push({ ...row });
    w.participants[0].read_seq = Math.max(w.participants[0].read_seq, seq);
    return row;
}

const verdict = (change) => {
    const w = whole();
    change(w);
    return w.history.check(w).join('\n');
};

test('a whole history breaks no rule', () => assert.equal(verdict(() => {}), ''));

test('what may be unknown may be stored, or not', () => {
    assert.equal(verdict(({ history }) => send(history, 'c4', { status: 'unknown' })), '');
    assert.equal(verdict((w) => {
        send(w.history, 'c4', { status: 'unknown' });
        see(w.history, store(w, 'c4', 4));
    }), '');
});

const BROKEN = {
    'an acked message is lost': [(w) => w.rows.pop() && w.gets.get(ROOM).pop(), /acked and lost: c3/],
    'an acked message has another seq': [(w) => send(w.history, 'c1', { status: 'stored', id: 'id1', seq: 9 }), /acked as 9/],
    'a message is stored twice': [(w) => store(w, 'c3', 4, { content: 'text3' }), /stored 2 times/],
    'what was rejected is stored': [(w) => {
        send(w.history, 'c4', { status: 'rejected', code: 'unavailable' });
        see(w.history, store(w, 'c4', 4));
    }, /rejected \(rest unavailable\) and stored as seq 4/],
    'what nobody sent is stored': [(w) => see(w.history, store(w, 'c4', 4)), /nobody sent seq 4/],
    'another body is taken for a resend': [(w) => send(w.history, 'c1', { status: 'stored', id: 'id1', seq: 1 }), /another body/],
    'a seq is missing': [(w) => w.rows.splice(1, 1), /has seq 3 in place 2/],
    'what was sent later comes before': [(w) => {
        for (const [key, seq] of [['late', 5], ['later', 4]]) {
            send(w.history, key, { status: 'stored', id: `id${seq}`, seq });
            store(w, key, seq);
        }
    }, /seq 4 was sent after 5/],
    'something else is seen than stored': [(w) => see(w.history, { seq: 3, id: 'other', rev: 0, content: 'x' }), /saw seq 3 other/],
    'another text is seen than stored': [(w) => see(w.history, { seq: 3, id: 'id3', rev: 0, content: 'x' }), /saw seq 3 as x/],
    'seen before it was committed': [(w) => w.history.uncommitted.push({ observer: 'bob/web', seq: 2 }), /seen before its commit: seq 2/],
    'seen twice': [(w) => see(w.history, w.rows[2]), /3 after 3/],
    'seen with a hole': [(w) => w.history.sightings.splice(1, 1), /3 after 1/],
    'not all is shown': [(w) => w.history.sightings.pop(), /shows 2 of 3/],
    'a rev goes back': [(w) => {
        Object.assign(w.rows[0], { rev: 7 });
        Object.assign(w.rows[1], { rev: 8 });
        for (const i of [1, 0]) see(w.history, w.rows[i], { fresh: false, shown: false });
    }, /rev 7 after 8/],
    'a mark goes back': [(w) => {
        for (const readSeq of [3, 2])
            w.history.marks.push({ observer: 'bob/web', connection: 1, room: ROOM, user: 'alice', readSeq, deliveredSeq: 3 });
    }, /readSeq 2 after 3/],
    'an answered mark is lost': [(w) => w.history.markAnswers.push({ room: ROOM, user: 'alice', readSeq: 4 }), /was told 4/],
    'a sender has not read': [(w) => (w.participants[0].read_seq = 2), /alice sent 3 and has read 2/],
    'an answered edit is lost': [(w) => w.history.edits.push({ id: 'id1', content: 'new', answered: true, rev: 1 }), /was answered as rev 1/],
    'GET gives something else': [(w) => (w.gets.get(ROOM)[1].content = 'x'), /GET of room/],
    'one who was removed hears': [(w) => {
        const from = w.history.tick();
        send(w.history, 'c4', { status: 'stored', id: 'id4', seq: 4 });
        const row = store(w, 'c4', 4);
        w.history.absences.push({ room: ROOM, user: 'guest', from, to: w.history.tick() });
        see(w.history, row);
        see(w.history, row, { observer: 'guest/phone', user: 'guest', steady: false });
    }, /guest\/phone was removed, and saw seq 4/],
    'one who was removed speaks': [(w) => {
        const from = w.history.tick();
        send(w.history, 'c4', { status: 'stored', id: 'id4', seq: 4 }, 'guest');
        see(w.history, store(w, 'c4', 4, { sender_id: 'guest' }));
        w.history.absences.push({ room: ROOM, user: 'guest', from, to: w.history.tick() });
    }, /guest was removed, and seq 4 stored/],
};

for (const [name, [change, complaint]] of Object.entries(BROKEN))
    test(`found: ${name}`, () => assert.match(verdict(change), complaint));
