// parlorctl against a real database and configuration.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import test, { after, before } from 'node:test';
import { Stack } from './lib/stack.mjs';
import { connectMqtt } from './lib/clients.mjs';

// sysexits.h
const USAGE = 64, DATAERR = 65, NOUSER = 67, UNAVAILABLE = 69, NOPERM = 77, CONFIG = 78;
let stack;
before(async () => {
    stack = await Stack.start({ migrate: false, parts: [] });
});
after(() => stack.stop());

const oneLine = ({ stderr }) => assert.match(stderr.trim(), /^[^\n]+$/);

test('migrate: a dry run says what would be, a run does it, another finds nothing', { timeout: 60_000 }, async () => {
    assert.match(stack.ctl('migrate', '--dry-run'), /0001_chat/);
    const { rows } = await stack.sql.query("SELECT to_regclass('chat_messages') AS there");
    assert.equal(rows[0].there, null);
    assert.match(stack.ctl('migrate'), /0001_chat/);
    assert.doesNotMatch(stack.ctl('migrate'), /applied\b.*0001|0001_chat applied/);
    const answer = JSON.parse(stack.ctl('migrate', '--json'));
    assert.equal(typeof answer, 'object');
});

test('migrate at the same moment: one does it, none fails', { timeout: 60_000 }, async () => {
    await stack.sql.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    const all = await Promise.all([1, 2, 3, 4].map(() => stack.ctlResult('migrate')));
    assert.deepEqual(all.map((a) => a.code), [0, 0, 0, 0], JSON.stringify(all));
    const { rows } = await stack.sql.query('SELECT count(*) AS n, count(DISTINCT version) AS versions FROM schema_migrations');
    assert.equal(rows[0].n, rows[0].versions);
});

test('a migration whose text has changed is refused', { timeout: 60_000 }, async () => {
    const { rows } = await stack.sql.query('SELECT checksum FROM schema_migrations WHERE version = 1');
    await stack.sql.query("UPDATE schema_migrations SET checksum = 'another' WHERE version = 1").catch(() =>
        stack.sql.query("UPDATE schema_migrations SET checksum = '\\x00' WHERE version = 1"));
    const answer = await stack.ctlResult('migrate');
    assert.notEqual(answer.code, 0);
    oneLine(answer);
    await stack.sql.query('UPDATE schema_migrations SET checksum = $1 WHERE version = 1', [rows[0].checksum]);
    assert.equal((await stack.ctlResult('migrate')).code, 0);
});

test('token and token check', { timeout: 60_000 }, async () => {
    const token = stack.ctl('token', 'alice', '--ttl', '60').trim();
    assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.match(stack.ctl('token', 'check', token), /alice/);
    const json = JSON.parse(stack.ctl('token', 'check', token, '--json'));
    assert(JSON.stringify(json).includes('"alice"'));
    const operator = stack.ctl('token', 'olga', '--role', 'operator', '--ttl', '60').trim();
    assert.match(stack.ctl('token', 'check', operator), /operator/);
    const bad = await stack.ctlResult('token', 'check', `${token.slice(0, -6)}AAAAAA`);
    assert.equal(bad.code, NOPERM);
    assert.match(bad.stdout, /^invalid: the signature/);
    for (const [code, ...args] of [
        [NOUSER, 'token', 'a/b'],
        [USAGE, 'token', 'alice', '--role', 'service'],
        [USAGE, 'token', 'alice', '--ttl', '-1'],
        [USAGE, 'token'],
        [USAGE, 'token', 'check'],
        [USAGE, 'token', 'check', token, 'more'],
        [USAGE, 'token', 'alice', 'more'],
        [USAGE, 'token', 'check', token, '--ttl', '5'],
    ]) {
        const answer = await stack.ctlResult(...args);
        assert.equal(answer.code, code, `${args.join(' ')}: ${JSON.stringify(answer)}`);
        assert.equal(answer.stdout, '');
        oneLine(answer);
    }
    assert.match((await stack.ctlResult('token', 'check')).stderr, /usage: parlorctl token check TOKEN/);
    assert.match((await stack.ctlResult('token', 'check', token, 'more')).stderr, /usage: parlorctl token check TOKEN/);
    assert.match(stack.ctl('token', 'check', stack.ctl('token', '--', 'check').trim()), /valid: check/);
});

test('unknown commands and keys', { timeout: 60_000 }, async () => {
    const unknown = await stack.ctlResult('tokn');
    assert.equal(unknown.code, USAGE);
    oneLine(unknown);
    for (const args of [['tokn'], ['status', '--bogus'], ['token', 'alice', '--ttl', '0'], [], ['--config', 'twice', 'status'],
        ['status', 'more'], ['why', 'a', 'read', 'b', 'c']]) {
        const answer = await stack.ctlResult(...args, '--json');
        assert.equal(answer.code, USAGE, args.join(' '));
        const { ok, code, message } = JSON.parse(answer.stdout);
        assert.deepEqual([ok, code], [false, 'usage']);
        assert.equal(answer.stderr, `parlorctl: ${message}\n`);
    }
});

test('why: the rule, and what would change it', { timeout: 60_000 }, async () => {
    const room = '018f0000-0000-7000-8000-000000000001';
    await stack.sql.query(`SELECT * FROM parlor_room_create($1, 'alice', 'group', 'r', array['bob'], null, null, 100)`, [room]);
    const topic = `chat/v1/rooms/${room}/messages`;
    const yes = JSON.parse(stack.ctl('why', 'alice', 'subscribe', topic, '--json'));
    assert.equal(yes.verdict, 'allowed');
    assert.equal(yes.rule, 'member');
    const refused = await stack.ctlResult('why', 'mallory', 'subscribe', topic, '--json');
    assert.equal(refused.code, NOPERM);
    const no = JSON.parse(refused.stdout);
    assert.equal(no.verdict, 'denied');
    assert.equal(no.rule, 'not_member');
    const own = await stack.ctlResult('why', 'alice', 'write', `chat/v1/rooms/${room}/send/bob`, '--json');
    assert.equal(JSON.parse(own.stdout).rule, 'own_voice');
    const outside = async (topic, access = 'subscribe') => JSON.parse((await stack.ctlResult('why', 'alice', access, topic, '--json')).stdout);
    const seen = { defer: ['deferred', 'deferred'], allow: ['allowed', 'deferred'] };
    for (const [outside_prefix, [device, system]] of Object.entries(seen)) {
        stack.configure({ outside_prefix });
        assert.equal((await outside('devices/lamp')).verdict, device);
        assert.equal((await outside('$SYS/broker/version')).verdict, system);
        assert.match((await outside('$SYS/#')).change, /other rules decide/);
        assert.equal((await outside('$share/g/devices/lamp')).verdict, device);
        assert.equal((await outside('$share/g/devices/lamp', 'write')).verdict, system); // a name, of no group
    }
    assert.doesNotMatch((await outside('devices/lamp')).change, /decide:/);
    stack.configure({ outside_prefix: undefined });
    for (const [access, bad] of [['subscribe', ''], ['subscribe', 'a/b#'], ['subscribe', '#/a'], ['subscribe', 'a+/b'],
        ['subscribe', 'a\nb'], ['write', 'a/#'], ['read', '']]) {
        const answer = await stack.ctlResult('why', 'alice', access, bad, '--json');
        assert.equal(answer.code, DATAERR, `${bad}: ${JSON.stringify(answer)}`);
        assert.equal(JSON.parse(answer.stdout).code, 'bad_topic');
        oneLine(answer);
    }
});

test('check: where it is kept what the database should have', { timeout: 60_000 }, async () => {
    const says = async (past_file) => {
        stack.configure({ past_file });
        return (await stack.ctlResult('check')).stdout;
    };
    try {
        assert.match(await says('/nowhere/past'), /^warning .*past_file's folder \/nowhere can't be written/m);
        assert.match(await says('past'), /past_file's folder .* can be written/);
        assert.match(await says(undefined), /^note .*past_file is not set/m);
    } finally {
        stack.configure({ past_file: undefined });
    }
});

test('check names what is wrong', { timeout: 60_000 }, async () => {
    const answer = await stack.ctlResult('check');
    assert(answer.stdout.length > 0);
    appendFileSync(stack.parlorConf, 'qeue_bytes_max 5\n');
    const broken = await stack.ctlResult('check');
    assert.equal(broken.code, CONFIG, JSON.stringify(broken));
    assert.match(broken.stderr + broken.stdout, /queue_bytes_max/);
});

test('status, with the stack up and with the database away', { timeout: 90_000 }, async () => {
    const up = await Stack.start();
    try {
        const token = up.ctl('token', 'olga', '--role', 'operator', '--ttl', '60').trim();
        const client = await connectMqtt(up, { username: 'jwt', password: token });
        await client.subscribeAsync('chat/v1/rooms/+/messages', { qos: 1 });
        await client.endAsync(true);
        const well = await up.ctlResult('status', '--json');
        assert.equal(well.code, 0, JSON.stringify(well));
        JSON.parse(well.stdout);
        await up.sql.end();
        await up.postgres.kill();
        const away = await up.ctlResult('status');
        assert.equal(away.code, UNAVAILABLE, JSON.stringify(away));
        await up.postgres.up();
        up.sql = await up.postgres.connect();
    } finally {
        await up.stop();
    }
});

test('check: a database whose letters are ASCII is warned of', { timeout: 60_000 }, async () => {
    const url = stack.settings.database_url;
    assert.doesNotMatch((await stack.ctlResult('check')).stdout, /LC_CTYPE/);
    await stack.sql.query("create database ascii template template0 lc_ctype 'C'");
    stack.configure({ database_url: url.replace('dbname=postgres', 'dbname=ascii') });
    try {
        stack.ctl('migrate');
        assert.match((await stack.ctlResult('check')).stdout, /^warning .*LC_CTYPE is C: search/m);
    } finally {
        stack.configure({ database_url: url });
    }
});
