// One Parlor of a test's own: PostgreSQL, Mosquitto with the plugin, parlord, each on free ports and in a new
// folder below the system's temporary one. stop() ends all by process id and fails the test on any report of a
// sanitizer, on a crash, on a server that did not end when asked, and on whatever came to its users' doors and is not
// as the published contract says.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { Server, freePorts, isRoot, sanitizerPreload } from './process.mjs';
import { Postgres } from './postgres.mjs';
import { User } from './clients.mjs';
import { until } from './events.mjs';

export const BUILD = process.env.PARLOR_BUILD ?? new URL('../../../build/test', import.meta.url).pathname;
export const PLUGIN = `${BUILD}/plugin/mosquitto_parlor.so`;
export const SWAGGER_UI = new URL('../../../deploy/swagger-ui/node_modules/swagger-ui-dist', import.meta.url).pathname;
const SANITIZER = 'abort_on_error=0:exitcode=99:allocator_may_return_null=1';

export const config = (settings) =>
    `${Object.entries(settings).filter(([, value]) => value !== undefined).map(([key, value]) => `${key} ${value}`).join('\n')}\n`;

export class Stack {
    // options: parlor (keys of parlor.conf; undefined takes one out), broker (lines of mosquitto.conf added),
    // postgres (its settings), parts (which servers to start; default all), migrate (default true)
    static async start(options = {}) {
        const s = new Stack();
        try {
            await s.#setUp(options);
            const parts = options.parts ?? ['broker', 'parlord'];
            if (parts.includes('broker')) await s.startBroker();
            if (parts.includes('parlord')) await s.startParlord();
            return s;
        } catch (error) {
            error.message += s.#logs();
            await s.#endAll();
            s.#remove();
            throw error;
        }
    }

    async #setUp({ parlor = {}, broker = [], postgres = {}, migrate = true, secret }) {
        this.servers = [];
        this.clients = new Set();
        this.unfit = [];
        this.folder = mkdtempSync(`${tmpdir()}/parlor-test-`);
        chmodSync(this.folder, 0o755);
        [this.mqttPort, this.wsPort, this.httpPort, this.adminPort] = await freePorts(4);
        this.url = `http://127.0.0.1:${this.httpPort}`;
        this.secret = secret ?? 'test-secret-test-secret-test-secret';
        this.postgres = await Postgres.start(this.folder, postgres);
        this.parlorConf = `${this.folder}/parlor.conf`;
        this.brokerConf = `${this.folder}/mosquitto.conf`;
        this.settings = {
            database_url: this.postgres.url,
            jwt_algorithms: 'HS256',
            jwt_secret: this.secret,
            service_secret: 'service-secret-service-secret-service',
            operator_secret: 'operator-secret-operator-secret-oper',
            wake_socket: `${this.folder}/wake.sock`,
            http_port: this.httpPort,
            admin_port: this.adminPort,
            swagger_ui_path: SWAGGER_UI,
            broker_port: this.mqttPort,
            limits: 'off',
            ...parlor,
        };
        this.configure({});
        this.writeBrokerConf(broker);
        if (migrate) this.ctl('migrate');
        this.sql = await this.postgres.connect();
    }

    // Writes parlor.conf with these keys changed; for what starts afterwards.
    configure(change) {
        Object.assign(this.settings, change);
        writeFileSync(this.parlorConf, config(this.settings));
    }

    writeBrokerConf(lines) {
        const own = [
            `listener ${this.mqttPort} 127.0.0.1`,
            `listener ${this.wsPort} 127.0.0.1`,
            'protocol websockets',
            `listener 0 ${this.folder}/wake.sock`,
            `plugin ${PLUGIN}`,
            `plugin_opt_config ${this.parlorConf}`,
            'persistence false',
            'allow_duplicate_messages true',
            'set_tcp_nodelay true',
            'max_queued_messages 10000',
            'max_inflight_messages 1000',
            'log_dest stderr',
            'log_type all',
            'connection_messages true',
            isRoot ? 'user root' : '',
        ];
        if (!lines.some((line) => line.startsWith('allow_anonymous'))) own.push('allow_anonymous false');
        const changed = ['max_queued_messages ', 'persistence '].filter((key) => lines.some((line) => line.startsWith(key)));
        const kept = own.filter((line) => !changed.some((key) => line.startsWith(key)));
        writeFileSync(this.brokerConf, `${[...lines, ...kept].join('\n')}\n`);
    }

    #launch(name, argv, env) {
        const server = new Server(name, argv, {
            log: `${this.folder}/${name}.log`,
            cwd: this.folder,
            env: { UBSAN_OPTIONS: 'print_stacktrace=1', TMPDIR: this.folder, ...env },
        });
        this.servers.push(server);
        return server;
    }

    // Mosquitto frees little of its own at its end: leaks are looked for in parlord and in unit tests.
    launchBroker() {
        this.broker = this.#launch('mosquitto', ['mosquitto', '-c', this.brokerConf], {
            ASAN_OPTIONS: `detect_leaks=0:${SANITIZER}`,
            ...sanitizerPreload(PLUGIN, BUILD),
        });
        return this.broker;
    }

    async startBroker() {
        this.launchBroker();
        await this.#listening(this.broker, this.mqttPort);
    }

    launchParlord() {
        this.parlord = this.#launch('parlord', [`${BUILD}/service/parlord`, '--config', this.parlorConf], {
            ASAN_OPTIONS: `detect_leaks=1:${SANITIZER}`,
        });
        return this.parlord;
    }

    async startParlord() {
        this.launchParlord();
        await this.ready();
    }

    async ready() {
        await until('parlord is ready', async () => {
            assert(this.parlord.alive, 'parlord ended');
            return (await fetch(`${this.url}/readyz`).catch(() => null))?.ok;
        }, 30_000);
    }

    async #listening(server, port) {
        await until(`${server.name} listens`, () => {
            assert(server.alive, `${server.name} ended`);
            return new Promise((resolve) => {
                const probe = connect(port, '127.0.0.1', () => probe.destroy() && resolve(true));
                probe.on('error', () => resolve(false));
            });
        }, 30_000);
    }

    // Runs parlorctl to its end; its output. ctlFails gives {code, stdout, stderr} of one that must fail.
    ctl(...args) {
        return execFileSync(`${BUILD}/ctl/parlorctl`, ['--config', this.parlorConf, ...args], { encoding: 'utf8' });
    }

    async ctlResult(...args) {
        try {
            const done = await promisify(execFile)(`${BUILD}/ctl/parlorctl`, ['--config', this.parlorConf, ...args]);
            return { code: 0, ...done };
        } catch (error) {
            return { code: error.code, stdout: error.stdout, stderr: error.stderr };
        }
    }

    // For checks within the callbacks of clients: stop() fails on those that failed.
    check(check) {
        try {
            check();
        } catch (error) {
            this.unfit.push(error.message);
        }
    }

    user(name, claims) {
        return new User(this, name, claims);
    }

    // A room of these users, made by the first one's REST door. type: group unless two are asked for as direct.
    async room(users, { type = 'group', name } = {}) {
        const [first, ...others] = users;
        const { status, body } = await first.rest('POST', '/chat/rooms', { type, name, participantIds: others.map((u) => u.id) });
        assert.equal(status, 201, JSON.stringify(body));
        return body.id;
    }

    // Every stored message of a room, in order, as rows of the database.
    async stored(room) {
        const { rows } = await this.sql.query('SELECT * FROM chat_messages WHERE room_id = $1 ORDER BY seq', [room]);
        return rows;
    }

    async killBroker() {
        this.broker.signal('SIGKILL');
        await this.broker.ended;
    }

    async killParlord() {
        this.parlord.signal('SIGKILL');
        await this.parlord.ended;
    }

    #logs() {
        const parts = ['postgres', 'mosquitto', 'parlord'].map((name) => {
            const path = `${this.folder}/${name}.log`;
            return existsSync(path) ? `\n---- ${name}.log\n${readFileSync(path, 'utf8').slice(-4000)}` : '';
        });
        return parts.join('');
    }

    async #endAll() {
        this.postgres?.resume();
        for (const client of this.clients) await client.close();
        this.clients.clear();
        await this.sql?.end().catch(() => {});
        await this.parlord?.end();
        await this.broker?.end();
        await this.postgres?.end();
    }

    // PARLOR_TEST_KEEP in the environment keeps the folder, for looking at it afterwards.
    #remove() {
        if (this.folder && !process.env.PARLOR_TEST_KEEP) rmSync(this.folder, { recursive: true, force: true });
    }

    async stop() {
        await this.#endAll();
        const faults = [...new Set(this.unfit)];
        for (const server of this.servers) {
            const report = server.report();
            if (report) faults.push(`${server.name}: ${report}`);
            if (server.hung) faults.push(`${server.name} did not end when asked`);
            if (server.code && !server.mayFail) faults.push(`${server.name} ended with status ${server.code}`);
            if (server.endSignal && server.endSignal !== 'SIGKILL') faults.push(`${server.name} ended by ${server.endSignal}`);
        }
        const logs = faults.length ? this.#logs() : '';
        this.#remove();
        assert.deepEqual(faults, [], faults.join('\n') + logs);
    }
}
