// What was seen, in order, and waiting for more of it: no test sleeps where it can wait for an event.

export class EventLog {
    constructor(name) {
        this.name = name;
        this.items = [];
        this.waiters = new Set();
    }

    push(item) {
        this.items.push(item);
        for (const check of [...this.waiters]) check();
    }

    // Resolves with the first item (past ones count) that passes; rejects after ms, saying what came instead.
    find(passes, ms = 10_000) {
        return this.#wait(() => this.items.find(passes), ms, 'no such event');
    }

    // Resolves with all items when there are at least n.
    count(n, ms = 10_000) {
        return this.#wait(() => (this.items.length >= n ? this.items : undefined), ms, `not ${n} events`);
    }

    #wait(look, ms, complaint) {
        return new Promise((resolve, reject) => {
            const settle = () => {
                const found = look();
                if (found === undefined) return;
                clearTimeout(timer);
                this.waiters.delete(settle);
                resolve(found);
            };
            const timer = setTimeout(() => {
                this.waiters.delete(settle);
                const last = this.items.slice(-3).map((item) => JSON.stringify(item)?.slice(0, 300));
                reject(new Error(`${this.name}: ${complaint} in ${ms} ms; ${this.items.length} came, last ${last.join(' ')}`));
            }, ms);
            this.waiters.add(settle);
            settle();
        });
    }
}

// Asks again until the answer is true (truthy); for what can only be asked, not waited for.
export async function until(what, ask, ms = 15_000) {
    const end = Date.now() + ms;
    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        if (Date.now() > end) throw new Error(`${what}: not in ${ms} ms`);
        await pause(50);
    }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
