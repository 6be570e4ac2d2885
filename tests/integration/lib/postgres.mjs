// A private PostgreSQL of one test: a cluster in the test's folder, reached by its socket alone.
import { execFileSync } from 'node:child_process';
import { appendFileSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { Server, asPostgres, isRoot } from './process.mjs';
import { until } from './events.mjs';

pg.types.setTypeParser(20, Number); // bigint: seq and rev stay far below 2^53

function binaries() {
    const base = '/usr/lib/postgresql';
    const versions = existsSync(base) ? readdirSync(base).filter((v) => existsSync(`${base}/${v}/bin/postgres`)) : [];
    if (versions.length === 0) throw new Error('no PostgreSQL server programs below /usr/lib/postgresql');
    return `${base}/${versions.sort((a, b) => b - a)[0]}/bin`;
}

function postgresIds() {
    const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((l) => l.startsWith('postgres:'));
    return line.split(':').slice(2, 4).map(Number);
}

// One that has ended since it was listed is as good as told.
function signal(pid, name) {
    try {
        process.kill(pid, name);
    } catch (error) {
        if (error.code !== 'ESRCH') throw error;
    }
}

export class Postgres {
    static async start(folder, settings = {}) {
        const p = new Postgres();
        p.bin = binaries();
        p.folder = `${folder}/pg`;
        p.log = `${folder}/postgres.log`;
        mkdirSync(p.folder, { mode: 0o700 });
        writeFileSync(p.log, '');
        if (isRoot) for (const path of [p.folder, p.log]) chownSync(path, ...postgresIds());
        p.data = `${p.folder}/data`;
        p.run('initdb', ['-D', p.data, '-U', 'parlor', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--lc-ctype=C.UTF-8', '--no-sync']);
        const all = {
            listen_addresses: "''",
            unix_socket_directories: `'${p.folder}'`,
            max_connections: 60,
            shared_buffers: '32MB',
            log_min_messages: 'warning',
            ...settings,
        };
        const lines = Object.entries(all).map(([key, value]) => `${key} = ${value}`);
        appendFileSync(`${p.data}/postgresql.conf`, `${lines.join('\n')}\n`);
        await p.up();
        return p;
    }

    get url() {
        return `host=${this.folder} user=parlor dbname=postgres`;
    }

    run(tool, args) {
        const command = [...asPostgres, `${this.bin}/${tool}`, ...args];
        return execFileSync(command[0], command.slice(1), { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    }

    async up() {
        this.server = new Server('postgres', [`${this.bin}/postgres`, '-D', this.data], {
            log: this.log,
            cwd: this.folder,
            as: asPostgres,
        });
        await until('PostgreSQL answers', async () => {
            if (!this.server.alive) throw new Error(`PostgreSQL ended: ${this.server.text().slice(-2000)}`);
            const client = await this.connect().catch(() => null);
            await client?.end();
            return client;
        }, 30_000);
    }

    async connect() {
        const client = new pg.Client({ host: this.folder, user: 'parlor', database: 'postgres' });
        client.on('error', () => {}); // a killed server; the next query says so
        await client.connect();
        return client;
    }

    // All processes of the server, the postmaster first.
    pids() {
        const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(this.server.pid)], { encoding: 'utf8' });
        return [this.server.pid, ...children.trim().split(/\s+/).filter(Boolean).map(Number)];
    }

    // Stops every process where it stands: connections stay open and nothing answers.
    hang() {
        this.stopped = this.pids();
        for (const pid of this.stopped) signal(pid, 'SIGSTOP');
    }

    resume() {
        for (const pid of this.stopped ?? []) signal(pid, 'SIGCONT');
        this.stopped = undefined;
    }

    // kill -9 of the server's parent; its children end by themselves, those that hang only by the same.
    async kill() {
        const children = this.pids().slice(1);
        if (this.stopped) for (const pid of children) signal(pid, 'SIGKILL');
        this.stopped = undefined;
        this.server.signal('SIGKILL');
        await this.server.ended;
        await until('backends end', () => children.every((pid) => !existsSync(`/proc/${pid}/exe`)));
    }

    // A folder of a server that stands still put in the place of another, owners included: how a backup is taken and
    // put back.
    copy(from, to) {
        rmSync(to, { recursive: true, force: true });
        execFileSync('cp', ['-a', from, to]);
    }

    async end() {
        this.resume();
        return this.server.end('SIGINT');
    }
}
