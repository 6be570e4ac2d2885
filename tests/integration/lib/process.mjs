// Starting and ending one server: its log, its sanitizer's report, its end together with the test's.
import { spawn, execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const running = new Set();
process.on('exit', () => {
    for (const server of running) server.signal('SIGKILL');
});

// Root starts servers that refuse to be root as Debian's user postgres.
export const isRoot = process.getuid() === 0;
export const asPostgres = isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : ['setpriv'];

export class Server {
    constructor(name, argv, { log, env = {}, cwd = '/', as = ['setpriv'] }) {
        Object.assign(this, { name, log });
        const out = openSync(log, 'a');
        const command = [...as, '--pdeathsig=KILL', ...argv];
        this.child = spawn(command[0], command.slice(1), {
            cwd,
            env: { PATH: `${process.env.PATH}:/usr/sbin`, HOME: cwd, LANG: 'C.UTF-8', ...env },
            stdio: ['ignore', out, out],
        });
        closeSync(out);
        this.ended = new Promise((resolve) => {
            this.child.on('exit', (code, signal) => {
                running.delete(this);
                this.code = code;
                this.endSignal = signal;
                resolve({ code, signal });
            });
        });
        running.add(this);
    }

    get pid() {
        return this.child.pid;
    }

    get alive() {
        return running.has(this);
    }

    signal(name) {
        if (this.alive) this.child.kill(name);
    }

    // Ends it and gives {code, signal}; kills it after ms.
    async end(signal = 'SIGTERM', ms = 20_000) {
        this.signal(signal);
        const timer = setTimeout(() => {
            this.hung = true;
            this.signal('SIGKILL');
        }, ms);
        const fate = await this.ended;
        clearTimeout(timer);
        return fate;
    }

    text() {
        return readFileSync(this.log, 'utf8');
    }

    // What a sanitizer said in its log, or null.
    report() {
        const text = this.text();
        const at = text.search(/ERROR: (Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/);
        return at < 0 ? null : text.slice(Math.max(0, at - 200), at + 4000);
    }
}

// A port that nobody listens on, below those that the kernel gives to outgoing connections: a server that is started
// again finds it free.
export async function freePort() {
    for (;;) {
        const port = 10000 + Math.floor(Math.random() * 22000);
        if (await isFree(port)) return port;
    }
}

function isFree(port) {
    return new Promise((resolve) => {
        const probe = createServer();
        probe.on('error', () => resolve(false));
        probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
}

export async function freePorts(n) {
    const probes = await Promise.all(Array.from({ length: n }, freePort));
    return new Set(probes).size === n ? probes : freePorts(n);
}

// The preload that a program without AddressSanitizer needs for a plugin that has it (asan_first.c says why two).
export function sanitizerPreload(plugin, build) {
    const libraries = execFileSync('ldd', [plugin], { encoding: 'utf8' });
    if (!libraries.includes('libasan')) return {};
    const asan = execFileSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
    return { LD_PRELOAD: `${asan} ${build}/tests/integration/asan_first.so` };
}
