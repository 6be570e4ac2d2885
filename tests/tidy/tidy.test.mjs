// Reads the tree and fails on what reviews forget: who may include whom, where foreign libraries may be named,
// calls that are banned, header blocks, sizes, formatting.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import test from 'node:test';

const ROOT = new URL('../../', import.meta.url).pathname;
const ROOMS = ['core', 'plugin', 'bridge', 'http', 'service', 'ctl', 'tests', 'bench'];
const LINES_MAX = 600;
const TEST_LINES_MAX = 700; // tables of cases

// Includes go down only. Tests may look into every room.
const BELOW = {
    core: ['core'],
    plugin: ['plugin', 'core'],
    bridge: ['bridge', 'core'],
    http: ['http', 'core'],
    service: ['service', 'http', 'bridge', 'core'],
    ctl: ['ctl', 'core'],
};

// Each foreign header and the one place that may include it.
const FOREIGN = [
    [/^cjson\//i, /^core\/json\.c$/],
    [/^libpq(-fe|-events)?\.h$|^libpq-/, /^core\/db\.h$/],
    [/^openssl\//, /^core\/(token|digest|claims)\.c$|^tests\/unit\/test_token\.c$/],
    [/^mosquitto/, /^plugin\/broker\.h$/],
    [/^MQTT(Async|Client)/, /^service\/link\.c$/],
    [/^uv\.h$/, /^service\/|^http\/listener\.c$/],
    [/^microhttpd\.h$/, /^http\/listener\.c$/],
    [/^wslay\//, /^bridge\/websocket\.c$/],
    [/^yaml\.h$/, /^http\/embed\/embed_yaml\.c$/],
    [/^curl\//, /^$/],
    [/^cmocka\.h$/, /^tests\//],
];

const BANNED = /\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|gets|alloca)\s*\(/;
const LEFT = new RegExp(`\\b(${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')}|${['X', 'X', 'X'].join('')})\\b`);

function walk(folder, keep, found = []) {
    for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        if (name === 'node_modules' || name.startsWith('build')) continue;
        if (statSync(path).isDirectory()) walk(path, keep, found);
        else if (keep.test(name)) found.push(relative(ROOT, path));
    }
    return found;
}

const files = ROOMS.filter((room) => existsSync(join(ROOT, room))).flatMap((room) => walk(join(ROOT, room), /\.[ch]$/));
const text = Object.fromEntries(files.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));

// Code without comments and the insides of strings; lines keep their numbers.
const code = (file) =>
    text[file]
        .replace(/\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|\/\/[^\n]*/g, (part) => (part[0] === '"' ? '""' : part.replace(/[^\n]/g, ' ')));

// Every place in the files where a line breaks the rule, as file:line: what.
function complaints(list, rule) {
    return list.flatMap((file) =>
        rule(file)
            .filter(Boolean)
            .map(([line, what]) => `${file}:${line}: ${what}`),
    );
}

const includes = (file) =>
    text[file].split('\n').flatMap((line, i) => {
        const found = line.match(/^\s*#\s*include\s*([<"])([^>"]+)[>"]/);
        return found ? [{ line: i + 1, own: found[1] === '"', path: found[2] }] : [];
    });

const holds = (list) => assert.deepEqual(list, [], `\n${list.join('\n')}`);

test('there is something to read', () => assert(files.length > 20));

test('includes go down only', () =>
    holds(
        complaints(files, (file) => {
            const allowed = BELOW[file.split('/')[0]];
            return includes(file).map(({ line, own, path }) => {
                if (!own || !allowed || !path.includes('/')) return null;
                return allowed.includes(path.split('/')[0]) ? null : [line, `may not include ${path}`];
            });
        }),
    ));

test('includes name their room', () =>
    holds(
        complaints(files.filter((f) => BELOW[f.split('/')[0]]), (file) =>
            includes(file).map(({ line, own, path }) =>
                own && !path.includes('/') && !path.endsWith('.inc') ? [line, `"${path}": write room/file.h`] : null,
            ),
        ),
    ));

test('each foreign library in its one place', () =>
    holds(
        complaints(files, (file) =>
            includes(file).map(({ line, own, path }) => {
                const rule = !own && FOREIGN.find(([header]) => header.test(path));
                // The load generators of bench/ speak with servers on their own.
                return rule && !rule[1].test(file) && !file.startsWith('bench/') ? [line, `<${path}> belongs elsewhere: ${rule[1]}`] : null;
            }),
        ),
    ));

test('banned calls', () =>
    holds(
        complaints(files, (file) =>
            code(file).split('\n').map((line, i) => {
                const found = line.match(BANNED);
                return found ? [i + 1, found[1]] : null;
            }),
        ),
    ));

test('headers open with a sentence, then Flow, Thread, Owns; structs have no typedef', () =>
    holds(
        complaints(files.filter((f) => f.endsWith('.h') && BELOW[f.split('/')[0]]), (file) => {
            const block = text[file].match(/^\/\*([\s\S]*?)\*\//)?.[1];
            if (!block) return [[1, 'does not open with a comment']];
            return [
                /\bThread:/.test(block) ? null : [1, 'says nothing of threads (Thread:)'],
                /#ifndef PARLOR_|#pragma once/.test(text[file]) ? null : [1, 'has no guard PARLOR_...'],
                ...code(file).split('\n').map((line, i) => (/^\s*typedef struct\b[^(]*$/.test(line) ? [i + 1, 'typedef of a struct'] : null)),
            ];
        }),
    ));

test('files fit the head', () =>
    holds(complaints(files, (file) => {
        const lines = text[file].split('\n').length - 1;
        const max = file.startsWith('tests/') ? TEST_LINES_MAX : LINES_MAX;
        return [lines > max ? [lines, `over ${max} lines`] : null];
    })));

test('folders too', () =>
    holds(
        ROOMS.filter((room) => BELOW[room])
            .map((room) => [room, files.filter((f) => f.startsWith(`${room}/`) && f.endsWith('.c')).length])
            .filter(([, n]) => n > 40)
            .map(([room, n]) => `${room}: ${n} sources`),
    ));

test('nothing left to do', () => {
    const more = ['sql', 'docs', 'tests', 'deploy', 'dev.d', 'web'].filter((f) => existsSync(join(ROOT, f)))
        .flatMap((f) => walk(join(ROOT, f), /\.(sql|md|mjs|js|sh|in|yaml|conf)$/));
    const all = [...new Set([...files, ...more, ...['README.md', 'topics.md', 'dev'].filter((f) => existsSync(join(ROOT, f)))])];
    holds(all.flatMap((file) =>
        readFileSync(join(ROOT, file), 'utf8').split('\n').flatMap((line, i) => (LEFT.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []))));
});

test('clang-format agrees', { timeout: 120_000 }, () => {
    const bad = [];
    for (let i = 0; i < files.length; i += 50) {
        const some = files.slice(i, i + 50);
        try {
            execFileSync('clang-format', ['--dry-run', '-Werror', '--ferror-limit=1', ...some], { cwd: ROOT, stdio: 'pipe', encoding: 'utf8' });
        } catch (error) {
            bad.push(...error.stderr.split('\n').filter((line) => /error:/.test(line)));
        }
    }
    holds(bad);
});

test('shell scripts parse', () => {
    for (const file of ['dev', '.ci/run', ...walk(join(ROOT, 'dev.d'), /\.sh$/)]) execFileSync('bash', ['-n', join(ROOT, file)]);
});
