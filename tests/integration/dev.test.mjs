// ./dev up, down and env: the stack as people start it, its supervision, and its data over a restart.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
    chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import test, { after, before } from 'node:test';
import { freePorts, isRoot } from './lib/process.mjs';
import { EventLog, until } from './lib/events.mjs';

const CHECKOUT = new URL('../../', import.meta.url).pathname;
const NAMES = ['mosquitto', 'parlord', 'postgres'];
let folder, data, env;

before(async () => {
    folder = mkdtempSync(`${tmpdir()}/parlor-dev-`);
    data = `${folder}/a folder whose name is so long that no path of a unix socket below it would fit into its 107 bytes`;
    const [http, admin, mqtt, ws] = await freePorts(4);
    env = {
        ...process.env,
        PARLOR_DATA: data,
        PARLOR_HTTP_PORT: `${http}`,
        PARLOR_ADMIN_PORT: `${admin}`,
        PARLOR_MQTT_PORT: `${mqtt}`,
        PARLOR_MQTT_WS_PORT: `${ws}`,
    };
    chmodSync(folder, 0o755);
});
after(async () => {
    await dev(['down']);
    rmSync(folder, { recursive: true, force: true });
});

// Runs ./dev to its end: {code, out} with both outputs together.
const dev = (args, change) => run('./dev', args, change);

function run(program, args, change = {}) {
    return new Promise((resolve) => {
        const child = spawn(program, args, { cwd: CHECKOUT, env: { ...env, ...change }, stdio: ['ignore', 'pipe', 'pipe'] });
        let out = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (out += part));
        child.on('close', (code) => resolve({ code, out }));
    });
}

// Runs a pasted line in a shell until its output matches, then ends it.
function paste(line, expected, cwd = `${CHECKOUT}/tests/integration`) {
    const child = spawn('sh', ['-c', `exec ${line}`], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const log = new EventLog(line.slice(0, 40));
    let out = '';
    for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (part) => log.push((out += part)));
    }
    child.on('close', () => log.push(out));
    return {
        seen: expected && log.find((text) => expected.test(text)),
        again: (pattern) => log.find((text) => pattern.test(text)),
        end: () => child.kill('SIGTERM'),
    };
}

const pid = (name) => Number(readFileSync(`${data}/run/${name}.pid`, 'utf8'));
const pidOrNone = (name) => (existsSync(`${data}/run/${name}.pid`) ? pid(name) : 0);
const logText = () => readFileSync(`${data}/log/dev.log`, 'utf8');
const alive = (n) => {
    try {
        return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${n}/stat`, 'utf8'));
    } catch {
        return false;
    }
};
const nothingLeft = () => {
    const left = existsSync(`${data}/run`) ? readdirSync(`${data}/run`).filter((f) => f.endsWith('.pid')) : [];
    assert.deepEqual(left, []);
};
const ready = async () => (await fetch(`http://127.0.0.1:${env.PARLOR_HTTP_PORT}/readyz`).catch(() => null))?.ok;

async function shellEnv() {
    const { code, out } = await dev(['env']);
    assert.equal(code, 0, out);
    return Object.fromEntries(
        out.trim().split('\n').map((line) => {
            const [, name, value] = line.match(/^export (\w+)=(.*)$/);
            return [name, value.replaceAll('\\', '')];
        }),
    );
}

async function api(vars, method, path, body) {
    const response = await fetch(`${vars.PARLOR_URL}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${vars.PARLOR_TOKEN_ALICE}`, 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
}

test('a port in use: one line that says what to do, and nothing is left', { timeout: 120_000 }, async () => {
    const taken = createServer().listen(Number(env.PARLOR_MQTT_PORT), '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { code, out } = await dev(['up', '-d']);
    taken.close();
    assert.notEqual(code, 0);
    assert.match(out.trim(), /^dev: port \d+ is taken.*PARLOR_MQTT_PORT.*$/);
    nothingLeft();
});

test('a setting that is none: one line', { timeout: 60_000 }, async () => {
    const { code, out } = await dev(['up', '-d'], { PARLOR_HTTP_PORT: 'many' });
    assert.notEqual(code, 0);
    assert.match(out.trim(), /^dev: PARLOR_HTTP_PORT.*$/);
});

test('a data folder whose name or place will not do: one line, and nothing is left', { timeout: 60_000 }, async () => {
    writeFileSync(`${folder}/file`, '');
    const before = existsSync('/var/lib/parlor') ? readdirSync('/var/lib/parlor') : [];
    for (const [place, said] of [[`${folder}/a\nb`, /plainer name/], [`${folder}/file/sub`, /cannot make .*\/file/]]) {
        const { code, out } = await dev(['up', '-d'], { PARLOR_DATA: place });
        assert.notEqual(code, 0);
        assert.match(out.trim(), /^dev: .*$/);
        assert.match(out, said);
    }
    assert.deepEqual(existsSync('/var/lib/parlor') ? readdirSync('/var/lib/parlor') : [], before);
});

const NOBODY = 65534;
const asNobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
test('root takes over nobody else\'s folder, and none with other things in it', { timeout: 60_000, skip: !isRoot }, async () => {
    for (const [name, owner, said] of [['theirs', NOBODY, /belongs to user nobody/], ['mine', 0, /has other things in it/]]) {
        const place = `${folder}/${name}`;
        mkdirSync(place, { mode: 0o700 });
        writeFileSync(`${place}/file`, '');
        chownSync(place, owner, owner);
        for (const args of [['up', '-d'], ['env'], ['down']]) {
            const { code, out } = await dev(args, { PARLOR_DATA: place });
            assert.notEqual(code, 0);
            assert.match(out.trim(), /^dev: .*PARLOR_DATA.*$/);
            assert.match(out, said);
        }
        assert.equal(statSync(place).uid, owner);
        assert.deepEqual(readdirSync(place), ['file']);
    }
});

test('a database that does not answer: one line, and nothing is left', { timeout: 600_000 }, async () => {
    const { code, out } = await dev(['up', '-d'], { PARLOR_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' });
    assert.notEqual(code, 0, out);
    assert.match(out.trim().split('\n').at(-1), /^dev: .*database/, out);
    assert(!(await ready()));
    nothingLeft();
});

test('a checkout of somebody else: one line, and nothing is started', { timeout: 60_000, skip: !isRoot }, async () => {
    const place = `${folder}/nobody`;
    mkdirSync(place);
    chownSync(place, NOBODY, NOBODY);
    for (const args of [['build'], ['up', '-d']]) {
        const { code, out } = await run('setpriv', [...asNobody, './dev', ...args], { PARLOR_DATA: place });
        assert.notEqual(code, 0);
        assert.match(out.trim(), /^dev: cannot write to .*\/build: run as the owner of the checkout$/);
    }
});

test('words that a command does not take are refused, and --help is help', { timeout: 60_000 }, async () => {
    for (const words of ['down now', 'down --force', 'up --nonsense', 'up -d --nonsense', 'env x', 'build x', 'logs dev x', 'logs x', 'test unit a b', 'nonsense']) {
        const { code, out } = await dev(words.split(' '));
        assert.notEqual(code, 0, words);
        assert.match(out.trim(), /^dev: .*$/, words);
    }
    for (const command of ['up', 'down', 'env', 'build', 'test', 'logs', 'help']) {
        const { code, out } = await dev([command, '--help']);
        assert.deepEqual([code, out.split('\n')[0].slice(0, 8)], [0, './dev up'], command);
    }
});

test('a part of the tests that is none: said before anything is built', { timeout: 60_000 }, async () => {
    const { code, out } = await dev(['test', 'bogus']);
    assert.notEqual(code, 0);
    assert.match(out.trim(), /^dev: the parts are .*, not 'bogus'$/);
});

test('what ends up while it builds ends the build', { timeout: 60_000 }, async () => {
    const bin = `${folder}/compiler`, pidFile = `${folder}/ninja.pid`;
    mkdirSync(bin);
    writeFileSync(`${bin}/cmake`, '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(`${bin}/ninja`, `#!/bin/sh\necho $$ >${pidFile}.new\nmv ${pidFile}.new ${pidFile}\nexec sleep 600\n`, { mode: 0o755 });
    const child = spawn('./dev', ['up'], { cwd: CHECKOUT, env: { ...env, PATH: `${bin}:${env.PATH}` }, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    await until('it builds', () => existsSync(pidFile));
    child.kill('SIGTERM');
    assert.equal(await ended, 143);
    await until('ninja has ended', () => !alive(Number(readFileSync(pidFile, 'utf8'))));
});

test('a wrong key of the configuration: its own word, before anything is started', { timeout: 60_000 }, async () => {
    const { code, out } = await dev(['up', '-d'], { PARLOR_LIMITS: 'of' });
    assert.notEqual(code, 0, out);
    assert.match(out.trim().split('\n').at(-1), /^dev: PARLOR_LIMITS in the environment: /, out);
    assert(!existsSync(`${data}/postgres`));
    nothingLeft();
});

test('up -d: what it prints works as printed', { timeout: 600_000 }, async () => {
    const { code, out } = await dev(['up', '-d']);
    assert.equal(code, 0, out);
    const lines = out.trimEnd().split('\n');
    assert.equal(lines.at(-1), 'parlor is ready');
    for (const name of NAMES) assert(alive(pid(name)), `${name}.pid names a live process`);

    const listen = paste(lines.find((l) => l.startsWith('mosquitto_sub')));
    const find = (start) => lines.find((l) => l.startsWith(start));
    // mosquitto_sub says nothing when it is subscribed: send until it shows something.
    await until('mosquitto_sub shows what mosquitto_pub sends', async () => {
        paste(find('mosquitto_pub'));
        return listen.again(/hello by MQTT/).then(() => true, () => false);
    }, 30_000);
    await paste(find('curl'), /"seq":\d+/).seen;
    await listen.again(/hello by REST/);
    const at = lines.findIndex((l) => l.startsWith('node -e'));
    const script = lines.slice(at, lines.indexOf("'", at) + 1).join('\n');
    const socket = paste(script, /hello by Socket\.IO/);
    await socket.seen;
    await listen.again(/hello by Socket\.IO/);
    socket.end();
    listen.end();
});

// Programs on the way to the servers, each of which writes down its command line before it becomes the real one.
function spies() {
    const bin = `${folder}/bin`, told = `${folder}/told`;
    mkdirSync(bin);
    writeFileSync(told, '');
    chmodSync(told, 0o666);
    for (const name of ['curl', 'env', 'mosquitto', 'node', 'psql', 'setpriv', 'setsid']) {
        const real = execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${name}`], { encoding: 'utf8' }).trim();
        writeFileSync(`${bin}/${name}`, `#!/bin/sh\necho "$0 $*" >>${told}\nexec ${real} "$@"\n`, { mode: 0o755 });
    }
    return { path: `${bin}:${process.env.PATH}`, told: () => readFileSync(told, 'utf8') };
}

test('no command line shows a secret or a token', { timeout: 120_000 }, async () => {
    await dev(['down']);
    const { path, told } = spies();
    const { code, out } = await dev(['up', '-d'], {
        PATH: path,
        PARLOR_JWT_SECRET: 'a secret of users, which nobody sees',
        PARLOR_SERVICE_SECRET: 'a secret of parlord, which nobody sees',
        PARLOR_OPERATOR_SECRET: 'a secret of operators, which nobody sees',
    });
    assert.equal(code, 0, out);
    for (const name of ['curl', 'setpriv', 'setsid']) assert.match(told(), new RegExp(`/${name} `));
    assert.equal(told().split('\n').find((line) => /nobody sees|eyJ/.test(line)), undefined);
});

test('env and up tell what the running stack was started with', { timeout: 120_000 }, async () => {
    const { code, out } = await dev(['env'], { PARLOR_MQTT_PORT: '1', PARLOR_JWT_SECRET: 'another one, of which nobody here knows' });
    assert.equal(code, 0, out);
    assert.match(out, new RegExp(`^export PARLOR_MQTT_PORT=${env.PARLOR_MQTT_PORT}$`, 'm'));
    const vars = await shellEnv();
    assert.equal((await api(vars, 'GET', `/chat/rooms/${vars.PARLOR_ROOM}`)).status, 200);

    const again = await dev(['up', '-d'], { PARLOR_MQTT_PORT: '1', PARLOR_LIMITS: 'off', PARLOR_JWT_SECRET: 'a secret of users, which nobody sees' });
    assert.equal(again.code, 0, again.out);
    assert.match(again.out, /^the running stack has another PARLOR_MQTT_PORT PARLOR_LIMITS: .*$/m);
    assert.match(again.out, new RegExp(`mqtt://127.0.0.1:${env.PARLOR_MQTT_PORT} `));
    await dev(['down']);
    assert.equal((await dev(['up', '-d'])).code, 0);
});

// Whether somebody listens there.
const listens = (port, address) => new Promise((resolve) => {
    const socket = connect(port, address, () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
});

test('its ports are open on 127.0.0.1 alone', { timeout: 60_000 }, async () => {
    for (const name of ['HTTP', 'ADMIN', 'MQTT', 'MQTT_WS']) {
        const port = Number(env[`PARLOR_${name}_PORT`]);
        assert.deepEqual([await listens(port, '127.0.0.1'), await listens(port, '127.0.0.2')], [true, false], name);
    }
});

test('a second up says that one runs', { timeout: 60_000 }, async () => {
    const { code, out } = await dev(['up', '-d']);
    assert.equal(code, 0, out);
    assert.match(out, /running already/);
});

test('of another user\'s stack each command says whose it is', { timeout: 60_000, skip: !isRoot }, async () => {
    for (const args of [['up', '-d'], ['env'], ['down']]) {
        const { code, out } = await run('setpriv', [...asNobody, './dev', ...args]);
        assert.notEqual(code, 0);
        assert.match(out.trim(), /^dev: .* belongs to user root: run this as root.*$/);
    }
    assert(await ready());
});

test('what is killed is started again within two seconds, and its line says so', { timeout: 120_000 }, async () => {
    const vars = await shellEnv();
    for (const name of NAMES) {
        const old = pid(name);
        process.kill(old, 'SIGKILL');
        const died = Date.now();
        const now = await until(`${name} is started again`, () => {
            const n = pidOrNone(name);
            return n && n !== old && alive(n) && n;
        });
        const took = Date.now() - died;
        assert(took < 2500, `${name}: ${took} ms`);
        assert.match(readFileSync(`${data}/log/dev.log`, 'utf8'), new RegExp(`${name} \\(process ${old}\\) was killed by SIGKILL; starting it again`));
        await until('a message is stored', async () => {
            const answer = await api(vars, 'POST', `/chat/rooms/${vars.PARLOR_ROOM}/messages`, { content: `after ${name}` }).catch(() => null);
            return answer?.status === 201;
        }, 20_000);
        assert(alive(now) && pid(name) === now, `${name} stays`);
        await until('all is well again', ready);
    }
});

// Kills in this order, each when the one before has been; every one is to be started again, with one line of ours.
async function killed(names, gone = async () => {}) {
    const old = Object.fromEntries(names.map((name) => [name, pid(name)]));
    const died = {};
    for (const name of names) {
        process.kill(old[name], 'SIGKILL');
        died[name] = Date.now();
        await gone(name, old[name]);
    }
    for (const name of names) {
        await until(`${name} is started again`, () => pidOrNone(name) !== old[name] && alive(pidOrNone(name)));
        const took = Date.now() - died[name];
        assert(took < 4000, `${name}: ${took} ms`);
        const lines = logText().split('\n').filter((line) => line.includes(` ${old[name]}`));
        assert.deepEqual(lines.map((line) => line.replace(/^\S+ /, '')),
            [`${name} (process ${old[name]}) was killed by SIGKILL; starting it again`]);
    }
    assert.doesNotMatch(logText(), /supervise\.sh/, 'no words of bash');
    await until('all is well again', ready);
}
const seen = (name, n) => until(`its end is told`, () => logText().includes(`${name} (process ${n})`));

test('several killed at once, or one while another is started again: all come back', { timeout: 120_000 }, async () => {
    await killed(['parlord', 'mosquitto', 'postgres']);
    await killed(['postgres', 'parlord', 'mosquitto']);
    await killed(['mosquitto', 'parlord', 'postgres'], seen);
    await killed(['parlord', 'mosquitto'], seen); // both young: they wait for a second
});

test('one that is killed the moment that all is ready comes back', { timeout: 120_000 }, async () => {
    await dev(['down']);
    const up = dev(['up', '-d']);
    await until('all is ready', () => existsSync(`${data}/run/ready`), 60_000);
    await killed(['mosquitto']);
    assert.equal((await up).code, 0);
});

test('down ends all; the next up has the same room, tokens and messages', { timeout: 120_000 }, async () => {
    const before = await shellEnv();
    const path = `/chat/rooms/${before.PARLOR_ROOM}/messages?limit=100`;
    const old = await api(before, 'GET', path);
    const pids = NAMES.map(pid);
    const { code } = await dev(['down']);
    assert.equal(code, 0);
    assert(pids.every((n) => !alive(n)));
    nothingLeft();
    assert.notEqual((await dev(['env'])).code, 0, 'env says that nothing runs');
    assert.equal((await dev(['up', '-d'])).code, 0);
    const now = await shellEnv();
    assert.equal(now.PARLOR_ROOM, before.PARLOR_ROOM);
    const again = await api({ ...now, PARLOR_TOKEN_ALICE: before.PARLOR_TOKEN_ALICE }, 'GET', path);
    assert.deepEqual(again, old);
    assert(old.body.data.length >= 6);
    await dev(['down']);
});

test('a plugin that refuses: its own word', { timeout: 120_000 }, async () => {
    const conf = `${data}/postgres/postgresql.auto.conf`;
    const old = readFileSync(conf, 'utf8');
    writeFileSync(conf, `${old}synchronous_commit = off\n`);
    const { code, out } = await dev(['up', '-d']);
    writeFileSync(conf, old);
    assert.notEqual(code, 0, out);
    assert.match(out.trim().split('\n').at(-1), /^dev: mosquitto did not start: synchronous_commit is off/, out);
    nothingLeft();
});

test('what ends up -d while it waits ends all that it has begun', { timeout: 120_000 }, async () => {
    const child = spawn('./dev', ['up', '-d'], { cwd: CHECKOUT, env, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    const n = await until('a server is started', () => pidOrNone('postgres'), 60_000);
    child.kill('SIGTERM');
    assert.equal(await ended, 143);
    assert(!alive(n));
    nothingLeft();
});

for (const signal of ['SIGINT', 'SIGTERM']) {
    test(`up in the foreground ends all on ${signal}`, { timeout: 120_000 }, async () => {
        const child = spawn('./dev', ['up'], { cwd: CHECKOUT, env, stdio: ['ignore', 'pipe', 'pipe'] });
        const log = new EventLog('./dev up');
        let out = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => log.push((out += part)));
        const ended = new Promise((resolve) => child.on('close', resolve));
        await log.find((text) => /^parlor is ready$/m.test(text), 60_000);
        const pids = NAMES.map(pid);
        child.kill(signal);
        await ended;
        assert(pids.every((n) => !alive(n)));
        nothingLeft();
    });
}

test('a supervisor that is killed leaves no servers, and the next up works', { timeout: 120_000 }, async () => {
    assert.equal((await dev(['up', '-d'])).code, 0);
    const pids = NAMES.map(pid);
    process.kill(pid('dev'), 'SIGKILL');
    await until('the servers end', () => pids.every((n) => !alive(n)), 20_000);
    assert.equal((await dev(['down'])).code, 0);
    assert.deepEqual(readdirSync(`${data}/run`).filter((name) => name !== '.lock'), []);
    const { code, out } = await dev(['up', '-d']);
    assert.equal(code, 0, out);
    await dev(['down']);
});
