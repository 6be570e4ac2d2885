// What goes wrong in a run: servers killed and stopped, connections cut, rooms locked, the database read-only.
// Each fault begins, lasts a while, and ends by its own mending, so that several may overlap.
import { pause, until } from '../../integration/lib/events.mjs';

const killAndStart = (kill, start) => async (run, ms) => {
    await run.exclusive(async () => {
        await kill(run.stack);
        await pause(ms / 4);
        await start(run.stack);
    });
};

// A server that stands still; one that was killed meanwhile needs no mending.
const stop = (server) => async (run, ms) => {
    const victim = server(run.stack);
    victim.signal('SIGSTOP');
    await pause(ms);
    victim.signal('SIGCONT');
};

async function hangPostgres(run, ms) {
    await run.exclusive(async () => {
        run.stack.postgres.hang();
        await pause(ms);
        run.stack.postgres.resume();
    });
}

// One connection of each kind, cut without a word.
async function cut(run) {
    for (const door of run.rollSome(run.doors)) {
        door.client?.stream?.destroy();
        door.socket?.io?.engine?.close();
    }
}

const ask = (sql) => async (run, ms) => {
    const client = await run.stack.postgres.connect().catch(() => null);
    await client?.query(sql(run, ms)).catch(() => {});
    await client?.end().catch(() => {});
};

const endBackends = ask(() => `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'parlor%'`);
const lockRoom = ask((run, ms) => `begin; select from chat_rooms where id = '${run.roll(run.rooms)}' for update; select pg_sleep(${ms / 1000}); rollback`);

async function readOnly(run, ms) {
    await ask(() => 'alter system set default_transaction_read_only = on')(run);
    await ask(() => `select pg_reload_conf()`)(run);
    await pause(ms);
    await until('the database may be written again', async () => {
        const client = await run.stack.postgres.connect().catch(() => null);
        const done = await client?.query('set default_transaction_read_only = off')
            .then(() => client.query('alter system reset default_transaction_read_only'))
            .then(() => client.query('select pg_reload_conf()')).catch(() => null);
        await client?.end().catch(() => {});
        return done;
    }, 60_000);
}

// A backend killed by the system: PostgreSQL starts all of itself anew.
async function killBackend(run) {
    const [, ...children] = run.stack.postgres.pids();
    const pid = run.roll(children);
    if (pid) process.kill(pid, 'SIGKILL');
}

const FAULTS = {
    'broker killed': killAndStart((s) => s.killBroker(), (s) => s.startBroker()),
    'parlord killed': killAndStart((s) => s.killParlord(), (s) => s.launchParlord()),
    'postgres killed': killAndStart((s) => s.postgres.kill(), (s) => s.postgres.up()),
    'broker stopped': stop((s) => s.broker),
    'parlord stopped': stop((s) => s.parlord),
    'postgres stopped': hangPostgres,
    'connections cut': cut,
    'backends ended': endBackends,
    'backend killed': killBackend,
    'room locked': lockRoom,
    'database read-only': readOnly,
};

// Faults until ms have passed, by the run's own dice; all are mended when it returns.
export async function rage(run, ms) {
    const names = run.faults ?? Object.keys(FAULTS);
    const end = Date.now() + ms;
    const under = new Set();
    while (Date.now() < end) {
        const name = run.roll(names);
        const lasts = 50 + run.dice() ** 3 * 3000;
        run.log.push(`${name} ${Math.round(lasts)} ms`);
        const fault = FAULTS[name](run, lasts).catch((error) => run.log.push(`${name}: ${error.message}`));
        under.add(fault);
        fault.finally(() => under.delete(fault));
        // Mostly one after the other, sometimes the next one into it.
        if (run.dice() < 0.7) await fault;
        await pause(run.dice() ** 2 * 1500);
    }
    await Promise.all(under);
}
