/* What happens in rooms beside messages, and who is online. */
#include "service/broker_parts.h"

#include <stdio.h>
#include <string.h>

/* Is the room watched, so that its events are for the bridge? */
static bool is_watched(struct broker *b, const struct uuid *room)
{
    const struct watch *w = watches_find(&b->watches, room);
    return w && w->wanted && b->events;
}

static void copy_user(char out[USER_ID_MAX + 1], const struct wire_record *r)
{
    size_t size = r->user_size <= USER_ID_MAX ? r->user_size : USER_ID_MAX;
    memcpy(out, r->user ? r->user : "", size);
    out[size] = '\0';
}

void broker_on_receipt(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1];
    copy_user(user, r);
    if (r->request != 0)
        broker_on_stored(b, r); /* what moved comes once more, without a request, to all who watch the room */
    else if (is_watched(b, &r->room) && b->events->on_receipt)
        b->events->on_receipt(b->events->self, &r->room, user, r->seq, r->payload, r->payload_size);
}

void broker_on_event(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1], topic[UINT8_MAX + 1];
    if (b->skips_events || (r->seq > 0 && r->seq <= b->event))
        return; /* a broker that was killed tells the last ones again: sockets have heard them */
    b->event = r->seq;
    copy_user(user, r);
    snprintf(topic, sizeof topic, "%.*s", (int)r->word_size, r->word);
    if (b->events && b->events->on_event && (user[0] != '\0' || is_watched(b, &r->room)))
        b->events->on_event(b->events->self, &r->room, user, topic, r->payload, r->payload_size);
}

void broker_members_reset(struct broker *b)
{
    b->event = -1;
}

void broker_on_typed(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1];
    copy_user(user, r);
    if (is_watched(b, &r->room) && b->events->on_typing)
        b->events->on_typing(b->events->self, &r->room, user, r->on);
}

/* ---- Typing and presence. ---- */

void broker_on_typing(struct broker_port *port, const struct uuid *room, const char *user, bool on)
{
    broker_put((struct broker *)port,
               &(struct wire_record){
                   .type = WIRE_TYPING, .room = *room, .user = user, .user_size = strlen(user), .on = on});
}

static void put_online(struct broker *b, const char *user, bool on)
{
    broker_put(b,
               &(struct wire_record){.type = WIRE_ONLINE, .user = user, .user_size = strlen(user), .on = on});
}

void broker_put_here(void *context, const char *user)
{
    put_online(context, user, true);
}

void broker_on_online(struct broker_port *port, const char *user, bool on)
{
    struct broker *b = (struct broker *)port;
    size_t size = strlen(user);
    if (on ? onlines_hold(b->here, user, size) : onlines_drop(b->here, user, size))
        put_online(b, user, on);
}

static void tell_presence(struct broker *b, const char *user, bool on, int64_t last_seen_ms)
{
    if (b->events && b->events->on_presence)
        b->events->on_presence(b->events->self, user, on, last_seen_ms);
}

/* Changes are told once. Who is online when this process begins is no change. */
void broker_on_presence(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1];
    copy_user(user, r);
    bool changed = r->on ? onlines_add(b->online, user, strlen(user), b->round)
                         : onlines_remove(b->online, user, strlen(user));
    if (changed && b->acquainted)
        tell_presence(b, user, r->on, r->seq);
}

/* Whoever the plugin has not named since the last HELLO went away while the link was down. They get some time
 * to come back: after a restart of the broker all its clients are away for a moment. */
void broker_forget_absent(struct broker *b)
{
    if (b->forget_ns == 0 || broker_now_ns(b) < b->forget_ns || b->phase != PHASE_LINKED)
        return;
    b->forget_ns = 0;
    struct clock_port *clock = loop_clock(b->loop);
    char user[USER_ID_MAX + 1];
    while (onlines_take_stale(b->online, b->round, user))
        tell_presence(b, user, false, clock->wall_ms(clock));
}
