# What is printed: addresses, tokens and lines to paste for people; variables for shells; help.
# shellcheck shell=bash

# The demo room of alice and bob: made once by the REST door, and found again by its id.
show_make_demo() {
    local token room answer api=http://127.0.0.1:$HTTP_PORT/api/v1/chat/rooms
    token=$(stack_ctl token alice --ttl 300)
    room=$(cat "$REAL/demo-room" 2>/dev/null) || room=
    if [ -n "$room" ] && show_ask "$token" -f -o /dev/null "$api/$room" 2>/dev/null; then
        return 0
    fi
    answer=$(show_ask "$token" -H 'Content-Type: application/json' \
        -d '{"type":"group","name":"Demo","participantIds":["bob"]}' "$api") || die "parlord makes no demo room: $answer"
    room=$(grep -oE '^\{"id":"[0-9a-f-]{36}"' <<<"$answer" | cut -d '"' -f 4) ||
        die "parlord makes no demo room: $answer"
    printf '%s\n' "$room" | settings_write "$REAL/demo-room"
}

# show_ask TOKEN ARGUMENTS: curl with that token, which no command line shows.
show_ask() {
    local token=$1
    shift
    curl -sS -m 10 -H @- "$@" <<<"Authorization: Bearer $token"
}

show_load() {
    supervise_ready || die "parlor is not running with $DATA: ./dev up starts it"
    settings_adopt
    ROOM=$(cat "$REAL/demo-room")
    TOKEN_ALICE=$(stack_ctl token alice --ttl 86400)
    TOKEN_BOB=$(stack_ctl token bob --ttl 86400)
    URL=http://127.0.0.1:$HTTP_PORT PREFIX=${PARLOR_PREFIX:-chat/v1}
}

# Waits for what another ./dev is starting.
show_await() {
    local waited=0
    until supervise_ready; do
        [ $((waited++)) -lt 600 ] || die "parlor does not get ready; see $LOG/dev.log"
        sleep 0.1
    done
}

show_all() {
    show_load
    cat <<END

REST and Socket.IO   $URL/api/v1   $URL/socket.io/
MQTT                 mqtt://127.0.0.1:$MQTT_PORT   ws://127.0.0.1:$MQTT_WS_PORT
metrics              http://127.0.0.1:$ADMIN_PORT/metrics
logs                 $LOG   (./dev logs follows them)

Two users, alice and bob, are in the room $ROOM; their tokens hold for a day:
alice   $TOKEN_ALICE
bob     $TOKEN_BOB

Lines to paste, each into a terminal of its own. bob listens by MQTT:
mosquitto_sub -p $MQTT_PORT -u bob -P $TOKEN_BOB -v -t $PREFIX/rooms/$ROOM/messages

alice sends by MQTT, then by REST:
mosquitto_pub -p $MQTT_PORT -u alice -P $TOKEN_ALICE -q 1 -t $PREFIX/rooms/$ROOM/send/alice -m '{"content":"hello by MQTT"}'
curl -sS $URL/api/v1/chat/rooms/$ROOM/messages -H 'Authorization: Bearer $TOKEN_ALICE' -H 'Content-Type: application/json' -d '{"content":"hello by REST"}'

alice sends and listens by Socket.IO (in a folder where you ran npm install socket.io-client):
node -e '
const { io } = require("socket.io-client");
const chat = io("$URL/chat", { auth: { token: "$TOKEN_ALICE" } });
chat.on("new_message", ({ message }) => console.log(message.seq, message.senderId, message.content));
chat.on("connect_error", (error) => console.error(error.message));
chat.on("connect", () =>
  chat.emit("send_message", { chatRoomId: "$ROOM", content: "hello by Socket.IO" }, console.log));
'

parlor is ready
END
}

show_env() {
    show_load
    local name
    local -A value=([PARLOR_DATA]=$DATA [PARLOR_HTTP_PORT]=$HTTP_PORT [PARLOR_ADMIN_PORT]=$ADMIN_PORT
        [PARLOR_MQTT_PORT]=$MQTT_PORT [PARLOR_MQTT_WS_PORT]=$MQTT_WS_PORT [PARLOR_URL]=$URL
        [PARLOR_MQTT_URL]=mqtt://127.0.0.1:$MQTT_PORT [PARLOR_MQTT_WS_URL]=ws://127.0.0.1:$MQTT_WS_PORT
        [PARLOR_ROOM]=$ROOM [PARLOR_TOKEN_ALICE]=$TOKEN_ALICE [PARLOR_TOKEN_BOB]=$TOKEN_BOB)
    for name in "${!value[@]}"; do
        printf 'export %s=%q\n' "$name" "${value[$name]}"
    done | sort
}

# logs [dev|postgres|mosquitto|parlord]
show_logs() {
    local files=("$LOG"/*.log)
    [ $# -eq 0 ] || files=("$LOG/$1.log")
    [ -r "${files[0]}" ] || die "no log ${files[0]}"
    exec tail -n 20 -F "${files[@]}"
}

show_help() {
    cat <<'END'
./dev up [-d]             build and start PostgreSQL, Mosquitto and parlord; -d: in the background
./dev down                end what up -d left running
./dev env                 the running stack's addresses, demo room and tokens: eval "$(./dev env)"
./dev test [PART [NAME]]  all tests; PART: unit, integration, faults, browser, documents,
                          fuzz, tidy; NAME: only those that match
./dev build               the release build alone
./dev bench [...]         the project's measurements (bench/README.md)
./dev logs [NAME]         follow the logs; NAME: dev, postgres, mosquitto, parlord

Settings, by environment:
PARLOR_HTTP_PORT 3000, PARLOR_ADMIN_PORT 3001, PARLOR_MQTT_PORT 1883, PARLOR_MQTT_WS_PORT 8083
PARLOR_DATA            all that is stored, made and logged: ./var; relative to the checkout
PARLOR_JWT_SECRET      what users' tokens are signed with; made once and kept when unset
PARLOR_DATABASE_URL    a PostgreSQL of yours instead of the private one
PARLOR_LIMITS=off      no rates and connection counts, for measurements
Every other key of parlor.conf as PARLOR_KEY: docs/configuration.md
END
}
