// What the plugin and parlord refuse to start with, each saying why in the log.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import test from 'node:test';
import { Stack } from './lib/stack.mjs';

// Starts the broker, which must end by itself with a status, having said something that matches.
async function brokerRefuses(stack, ...sayings) {
    const broker = stack.launchBroker();
    broker.mayFail = true;
    const timer = setTimeout(() => broker.signal('SIGKILL'), 15_000);
    const { code, signal } = await broker.ended;
    clearTimeout(timer);
    const text = broker.text();
    assert(signal !== 'SIGKILL', `the broker went on:\n${text}`);
    assert.notEqual(code, 0);
    for (const saying of sayings) assert.match(text, saying);
}

async function refusing(options, prepare, ...sayings) {
    const stack = await Stack.start({ parts: [], ...options });
    try {
        await prepare(stack);
        await brokerRefuses(stack, ...sayings);
    } finally {
        await stack.stop();
    }
}

test('per_listener_settings true, naming the page on migrating from it', { timeout: 60_000 }, () =>
    refusing({ broker: ['per_listener_settings true'] }, () => {}, /per_listener_settings/, /mosquitto\.org\S*/));

test('an unknown key, with its line and the nearest right one', { timeout: 60_000 }, () =>
    refusing({}, (s) => appendFileSync(s.parlorConf, 'batch_maximum 10\n'), /parlor\.conf:\d+/, /batch_max\b/));

test('a value out of range', { timeout: 60_000 }, () =>
    refusing({}, (s) => s.configure({ batch_max: 0 }), /batch_max/));

test('an unknown plugin_opt', { timeout: 60_000 }, () =>
    refusing({ broker: [] }, (s) => appendFileSync(s.brokerConf, 'plugin_opt_colour blue\n'), /colour/));

test('a schema that is too old', { timeout: 60_000 }, () =>
    refusing({ migrate: false }, () => {}, /parlorctl migrate/));

test('a schema that is too new', { timeout: 60_000 }, () =>
    refusing({}, async (s) => {
        await s.sql.query("INSERT INTO schema_migrations SELECT 9999, '9999_future', checksum, now() FROM schema_migrations LIMIT 1");
    }, /too new|newer|[Uu]pdate Parlor/));

test('fsync off', { timeout: 60_000 }, () => refusing({ postgres: { fsync: 'off' } }, () => {}, /fsync/));

test('synchronous_commit off', { timeout: 60_000 }, () =>
    refusing({ postgres: { synchronous_commit: 'off' } }, () => {}, /synchronous_commit/));

test('parlord says what is wrong with its configuration and ends', { timeout: 60_000 }, async () => {
    const stack = await Stack.start({ parts: [] });
    try {
        stack.configure({ http_port: 70000 });
        const parlord = stack.launchParlord();
        parlord.mayFail = true;
        const { code } = await parlord.ended;
        assert.notEqual(code, 0);
        assert.match(parlord.text(), /http_port/);
    } finally {
        await stack.stop();
    }
});
