# Keeping the servers alive: one supervisor starts them in order, starts again what dies, and ends all.
# shellcheck shell=bash

# Of each server: its process and that one's birth, when it was started and how large its log was then; and of one
# that has ended, when it is to be started again.
declare -A PID=() BIRTH=() STARTED=() LOGGED=() DUE=()

# The start time of a live process tells it from a later one with the same number. Nothing for a dead one;
# where nobody collects zombies they count as dead.
supervise_birth() {
    supervise_look "$1"
    printf '%s' "$SEEN"
}

supervise_look() {
    local stat
    SEEN=
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" = Z ] || SEEN=${20}
}

# supervise_alive NAME: is the process that this file was written for alive?
supervise_alive() {
    local pid birth
    { read -r pid birth <"$RUN/.$1.process"; } 2>/dev/null || return 1
    [ -n "$birth" ] && [ "$(supervise_birth "$pid")" = "$birth" ]
}

# Writes down a process, for people (the pid file) and for ourselves.
supervise_note() {
    printf '%s %s\n' "$2" "$(supervise_birth "$2")" >"$RUN/.$1.process"
    printf '%s\n' "$2" >"$RUN/$1.pid.new"
    mv -f "$RUN/$1.pid.new" "$RUN/$1.pid"
}

supervise_forget() { rm -f "$RUN/$1.pid" "$RUN/.$1.process"; }

supervise_running() { supervise_alive dev; }

supervise_pid() { cat "$RUN/dev.pid"; }

# ---- One server ----

supervise_start() {
    [ "$1" != postgres ] || supervise_clear_locks
    LOGGED[$1]=$(stat -c %s "$LOG/$1.log" 2>/dev/null || echo 0)
    stack_exec "$1" &
    PID[$1]=$!
    BIRTH[$1]=$(supervise_birth "$!")
    STARTED[$1]=$SECONDS
    supervise_note "$1" "$!"
}

# A killed PostgreSQL leaves lock files with its process id; after a restart of the machine that number may
# belong to anybody, and PostgreSQL would wait for that one.
supervise_clear_locks() {
    local file pid
    for file in "$REAL/postgres/postmaster.pid" "$SOCKETS/.s.PGSQL.5432.lock"; do
        [ -f "$file" ] || continue
        read -r pid <"$file" || true
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ] || rm -f "$file"
    done
}

# supervise_await NAME SECONDS COMMAND: waits until the command succeeds; ends all when the server dies first.
supervise_await() {
    local name=$1 until=$((SECONDS + $2))
    shift 2
    until "$@"; do
        [ -n "$(supervise_birth "${PID[$name]}")" ] ||
            die "$name did not start: $(supervise_reason "$name") (all of it: $LOG/$name.log)"
        [ $SECONDS -lt "$until" ] || die "$name does not answer: $(supervise_reason "$name") (all of it: $LOG/$name.log)"
        sleep 0.1
    done
}

# What its log since its start says of why: the plugin's own word, else the last line that sounds like an error, else
# the last line.
supervise_reason() {
    local words line
    words=$(tail -c "+$((LOGGED[$1] + 1))" "$LOG/$1.log" | tail -n 30)
    line=$(sed -n 's/.*msg="not started: \(.*\)"$/\1/p' <<<"$words" | grep .) ||
        line=$(grep -iE 'error|fatal' <<<"$words" | tail -n 1) || line=$(tail -n 1 <<<"$words")
    printf '%s' "${line:-it said nothing}"
}

# supervise_end NAME PID SECONDS: asks a process to end, and insists when it has not after that time.
supervise_end() {
    local signal=TERM until=$((SECONDS + $3))
    [ "$1" != postgres ] || signal=INT
    kill -$signal "$2" 2>/dev/null || true
    while [ -n "$(supervise_birth "$2")" ]; do
        if [ $SECONDS -ge "$until" ]; then
            say "$1 (process $2) does not end; killing it"
            kill -KILL "$2" 2>/dev/null || true
            until=$((SECONDS + 5))
        fi
        sleep 0.05
    done
}

# ---- All of them ----

# parlord first, so that nothing new comes in; the broker then flushes what it accepted into a database that
# still stands.
supervise_end_all() {
    set +e
    trap - EXIT
    trap '' INT TERM HUP
    local name
    for name in parlord mosquitto postgres; do
        [ -z "${PID[$name]:-}" ] || supervise_end "$name" "${PID[$name]}" 20
        supervise_forget "$name"
    done
    rm -f "$RUN/ready"
    [ "$SOCKETS" = "$REAL/sockets" ] || rm -rf -- "$SOCKETS" # nothing of ours stays in /tmp
    supervise_forget dev
    wait
}

# What a killed supervisor may have left.
supervise_end_orphans() {
    local name
    for name in parlord mosquitto postgres; do
        if supervise_alive "$name"; then
            say "ending $name, left by an earlier run"
            supervise_end "$name" "$(cat "$RUN/$name.pid")" 20
        fi
        [ ! -d "$RUN" ] || supervise_forget "$name"
    done
    if [ -d "$RUN" ] && ! supervise_running; then
        supervise_forget dev
        rm -f "$RUN/ready"
    fi
}

# Starts everything in order, then watches it until a signal ends it.
supervise_run() {
    exec 9>"$RUN/.lock"
    flock -n 9 || die "another ./dev up is starting with $DATA"
    supervise_note dev $$
    rm -f "$RUN/ready"
    trap supervise_end_all EXIT
    trap 'say "ending"; exit 0' INT TERM HUP
    settings_record
    stack_configure
    stack_check_settings
    if stack_private_database; then
        stack_make_cluster
        supervise_start postgres
        supervise_await postgres 60 stack_postgres_well
        stack_make_database
    fi
    stack_migrate
    supervise_start mosquitto
    supervise_await mosquitto 20 stack_listening "$MQTT_PORT"
    supervise_start parlord
    supervise_await parlord 30 stack_ready
    # bash would add its own words about who was killed; and a full disk is no reason to stop watching.
    { (supervise_tell 2>&8); } 8>&2 2>/dev/null
    supervise_watch 2>/dev/null || true
}

supervise_tell() {
    show_make_demo
    echo $$ >"$RUN/ready"
    show_all
}

# Starts again what has ended. bash forgets children that end while it does something else, and `wait` then says
# nothing of them: all are looked at, whenever one ends and on each tick.
supervise_watch() {
    local tick
    while true; do
        supervise_sweep
        tick=1
        [ ${#DUE[@]} -eq 0 ] || tick=0.1
        sleep $tick >/dev/null 9>&- &
        tick=$!
        wait -n "$tick" "${PID[@]}" || true
        kill -KILL "$tick" || true # TERM could meet a child that is not sleep yet, and there run our own trap
    done
}

# One that ended as soon as it was started waits for a second, and holds up no other one.
supervise_sweep() {
    local name
    for name in postgres mosquitto parlord; do
        [ -z "${PID[$name]:-}" ] || supervise_bury "$name"
    done
    for name in postgres mosquitto parlord; do
        [ -n "${DUE[$name]:-}" ] && [ $SECONDS -ge "${DUE[$name]}" ] || continue
        unset "DUE[$name]"
        supervise_start "$name"
    done
}

supervise_bury() {
    local pid=${PID[$1]} status=0
    supervise_look "$pid"
    if [ -n "$SEEN" ] && [ "$SEEN" = "${BIRTH[$1]}" ]; then return 0; fi
    wait "$pid" || status=$?
    unset "PID[$1]"
    supervise_forget "$1"
    say "$(date +%T) $1 (process $pid) $(supervise_fate $status); starting it again"
    DUE[$1]=$SECONDS
    [ $((SECONDS - STARTED[$1])) -ge 2 ] || DUE[$1]=$((SECONDS + 1))
}

supervise_fate() {
    if [ "$1" -gt 128 ]; then
        printf 'was killed by SIG%s' "$(kill -l "$1")"
    else
        printf 'ended with status %s' "$1"
    fi
}

# Leaves a supervisor behind that belongs to no terminal, and returns when it is ready or has failed.
supervise_detach() {
    local pid
    setsid "$CHECKOUT/dev" _supervise >"$LOG/dev.log" 2>&1 </dev/null &
    pid=$!
    trap 'supervise_undo "$pid" 130' INT
    trap 'supervise_undo "$pid" 143' TERM HUP
    while ! supervise_ready; do
        if [ -z "$(supervise_birth "$pid")" ]; then
            grep '^dev: ' "$LOG/dev.log" >&2 || tail -n 5 "$LOG/dev.log" >&2
            exit 1
        fi
        sleep 0.1
    done
    disown "$pid"
    trap - INT TERM HUP
    show_all
}

# supervise_undo SUPERVISOR STATUS: who no longer waits for it does not want it.
supervise_undo() {
    trap '' INT TERM HUP
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" || true
    exit "$2"
}

supervise_ready() { [ -s "$RUN/ready" ] && supervise_alive dev && [ "$(cat "$RUN/ready")" = "$(supervise_pid)" ]; }

supervise_down() {
    local pid until
    if supervise_running; then
        pid=$(supervise_pid)
        kill -TERM "$pid"
        until=$((SECONDS + 60))
        while supervise_running; do
            [ $SECONDS -lt $until ] || die "process $pid does not end; its log is $LOG/dev.log"
            sleep 0.1
        done
        say "parlor has ended"
    else
        supervise_end_orphans
        say "parlor is not running with $DATA"
    fi
}
