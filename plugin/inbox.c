/* The plugin interface does not tell which subscriptions a client holds, only the checks on the way there. So
 * they are counted: a granted SUBSCRIBE adds, an UNSUBSCRIBE takes away, and the end of a session takes all.
 * Where that end is not told (a session of MQTT 5 that expires) a listener is believed to be there for
 * longer, which costs a publish to nobody.
 *
 * A session that the broker has kept on disk over its own start (`persistence true`) holds subscriptions from
 * before it. They show when such a client is back, by the READ checks of an empty publish to its inbox. */
#include "plugin/inbox.h"

#include "core/message.h"
#include "plugin/inboxes.h"

#include <string.h>

#define FEW_INBOXES 16 /* so many are asked each; for more, the room's members are walked */

static const char *const tails[] = {"inbox", "#", "+", "+/#", "inbox/#"};

#define SHAPE_OLDER (1U << (2 * sizeof tails / sizeof tails[0])) /* from before the plugin's start */

/* The bit of a filter that covers its owner's inbox, else 0. */
static unsigned shape_of(const struct topic *filter)
{
    if (filter->owner.text == NULL || filter->id_wild)
        return 0;
    const char *tail = filter->owner.text + filter->owner.size + 1;
    bool of_user = filter->kind == TOPIC_USER_INBOX || (filter->kind == TOPIC_USER_EVENTS && filter->wild);
    for (unsigned i = 0; of_user && i < sizeof tails / sizeof tails[0]; i++)
        if (strcmp(tail, tails[i]) == 0)
            return 1U << (2 * i + filter->shared);
    return 0;
}

void inbox_subscribed(struct plugin *p, const struct client *client, const struct topic *filter)
{
    unsigned shape = shape_of(filter);
    if (shape != 0)
        inboxes_add(p->inboxes, client->id, filter->owner.text, filter->owner.size, shape);
}

void inbox_unsubscribed(struct plugin *p, const struct client *client, const struct topic *filter)
{
    unsigned shape = shape_of(filter);
    if (shape != 0)
        inboxes_remove(p->inboxes, client->id, filter->owner.text, filter->owner.size, shape);
}

/* May the session live on without its connection? MQTT 5 says so by a property that we aren't told. */
static bool may_live_on(const struct mosquitto *handle)
{
    return mosquitto_client_protocol_version(handle) == 5 || !mosquitto_client_clean_session(handle);
}

/* The broker publishes it in its next turn, when the client has its session. */
static void ask(struct plugin *p, const char *user)
{
    char topic[TOPIC_TEXT_MAX];
    topic_format_user(topic, p->config->prefix, user, TOPIC_USER_INBOX, NULL);
    plugin_publish(p, topic, "", 0, 0);
}

void inbox_connecting(struct plugin *p, const struct mosquitto *handle, const char *client_id,
                      const char *user)
{
    const struct client *before = clients_holder(p->clients, client_id);
    if (mosquitto_client_clean_session(handle) || (before != NULL && !may_live_on(before->handle)))
        inboxes_forget(p->inboxes, client_id);
    else if (!clients_knows(p->clients, client_id))
        ask(p, user);
}

bool inbox_asks(struct plugin *p, const struct client *client, const struct topic *topic, size_t size)
{
    if (topic->kind != TOPIC_USER_INBOX || size > 0)
        return false;
    if (client != NULL && topic_part_is(&topic->owner, client->person->user) &&
        !inboxes_holds(p->inboxes, client->id, topic->owner.text, topic->owner.size))
        inboxes_add(p->inboxes, client->id, topic->owner.text, topic->owner.size, SHAPE_OLDER);
    return true;
}

void inbox_disconnecting(struct plugin *p, const struct mosquitto *handle)
{
    const struct client *client = clients_find(p->clients, handle);
    if (client == NULL || !client->connected || client->person == NULL)
        return; /* also one that was replaced: what it held is its successor's now */
    if (!may_live_on(handle) || !client_may_have_session(client))
        inboxes_forget(p->inboxes, client->id);
}

/* Publishing. */

struct delivery {
    struct plugin *p;
    const struct uuid *room;
    const void *message;
    size_t size;
    bool to_all; /* of the room: no history ends before the message */
    int64_t seq;
};

static void publish(const struct delivery *d, const char *user)
{
    char topic[TOPIC_TEXT_MAX];
    if (!d->to_all && !access_message(user, strlen(user), d->room, d->seq, d->p->members).allowed)
        return;
    topic_format_user(topic, d->p->config->prefix, user, TOPIC_USER_INBOX, NULL);
    plugin_publish(d->p, topic, d->message, d->size, 1);
}

static void to_listener(void *context, const char *user, size_t user_size)
{
    const struct delivery *d = context;
    if (members_role(d->p->members, d->room, user, user_size, NULL) != MEMBER_NONE)
        publish(d, user);
}

static void to_member(void *context, const char *user, enum member_role role)
{
    const struct delivery *d = context;
    (void)role;
    if (inboxes_has(d->p->inboxes, user))
        publish(d, user);
}

void inbox_publish(struct plugin *p, const struct uuid *room, const void *message, size_t size)
{
    size_t count = inboxes_count(p->inboxes);
    struct delivery d = {.p = p, .room = room, .message = message, .size = size};
    if (count == 0)
        return;
    d.to_all = access_reaches_all(room, p->members);
    if (!d.to_all && !message_read_seq(message, size, &d.seq))
        return;
    if (count <= FEW_INBOXES)
        inboxes_each(p->inboxes, to_listener, &d);
    else
        members_each_user(p->members, room, to_member, &d);
}
