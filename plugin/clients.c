/* Two hash tables over the same records (by pointer for every ACL check, by id at CONNECT), a table of users,
 * and a heap by the time of the next thing to do for a client. */
#include "plugin/clients.h"

#include "core/buf.h"
#include "core/ids.h"

#include <stdlib.h>
#include <string.h>

struct clients {
    struct table by_handle, by_id, persons;
    struct client **heap;
    size_t heap_count, heap_capacity;
    struct client *oldest, *newest; /* offline ones */
    size_t offline, offline_max, online, websockets;
};

static uint64_t handle_hash(const void *handle)
{
    uint64_t x = (uint64_t)(uintptr_t)handle;
    x *= 0x9e3779b97f4a7c15u;
    return x ^ (x >> 32);
}

static uint64_t text_hash(const char *text)
{
    return bytes_hash(text, strlen(text));
}

/* The heap: the client with the earliest time stands first. */

static int64_t due_s(const struct client *client)
{
    return client->warned ? client->expires_at_s : client->expires_at_s - EXPIRY_WARNING_S;
}

static void heap_set(struct clients *c, size_t at, struct client *client)
{
    c->heap[at] = client;
    client->heap_index = at;
}

static void heap_up(struct clients *c, size_t at)
{
    struct client *client = c->heap[at];
    while (at > 0 && due_s(c->heap[(at - 1) / 2]) > due_s(client)) {
        heap_set(c, at, c->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(c, at, client);
}

static void heap_down(struct clients *c, size_t at)
{
    struct client *client = c->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= c->heap_count)
            break;
        if (child + 1 < c->heap_count && due_s(c->heap[child + 1]) < due_s(c->heap[child]))
            child++;
        if (due_s(c->heap[child]) >= due_s(client))
            break;
        heap_set(c, at, c->heap[child]);
        at = child;
    }
    heap_set(c, at, client);
}

static void heap_add(struct clients *c, struct client *client)
{
    if (c->heap_count == c->heap_capacity) {
        c->heap_capacity = c->heap_capacity == 0 ? 64 : c->heap_capacity * 2;
        c->heap = mem_realloc(c->heap, c->heap_capacity * sizeof c->heap[0]);
    }
    heap_set(c, c->heap_count++, client);
    heap_up(c, client->heap_index);
}

static void heap_remove(struct clients *c, struct client *client)
{
    size_t at = client->heap_index;
    if (at == SIZE_MAX)
        return;
    client->heap_index = SIZE_MAX;
    struct client *last = c->heap[--c->heap_count];
    if (last == client)
        return;
    heap_set(c, at, last);
    heap_up(c, at);
    heap_down(c, last->heap_index);
}

/* Users. */

static struct person *person_find(const struct clients *c, const char *user)
{
    struct table_link *link = table_first(&c->persons, text_hash(user));
    for (; link != NULL; link = table_next(link)) {
        struct person *person = table_entry(link, struct person, link);
        if (strcmp(person->user, user) == 0)
            return person;
    }
    return NULL;
}

static struct person *person_hold(struct clients *c, const char *user)
{
    struct person *person = person_find(c, user);
    if (person == NULL) {
        size_t size = strlen(user);
        person = mem_zalloc(1, sizeof *person + size + 1);
        person->size = size;
        memcpy(person->user, user, size + 1);
        table_put(&c->persons, &person->link, text_hash(user));
    }
    person->records++;
    return person;
}

static void person_drop(struct clients *c, struct person *person)
{
    if (--person->records > 0)
        return;
    table_remove(&c->persons, &person->link);
    free(person);
}

/* Records. */

static void set_connected(struct clients *c, struct client *client, bool connected)
{
    if (client->connected == connected)
        return;
    client->connected = connected;
    if (client->person == NULL)
        return;
    client->person->connected += connected ? 1u : -1u;
    c->online += connected ? 1u : (size_t)-1;
    if (client->websocket)
        c->websockets += connected ? 1u : (size_t)-1;
}

static void offline_unlink(struct clients *c, struct client *client)
{
    if (client->older == NULL && client->newer == NULL && c->oldest != client)
        return;
    if (client->older != NULL)
        client->older->newer = client->newer;
    else
        c->oldest = client->newer;
    if (client->newer != NULL)
        client->newer->older = client->older;
    else
        c->newest = client->older;
    client->older = client->newer = NULL;
    c->offline--;
}

static void client_remove(struct clients *c, struct client *client)
{
    set_connected(c, client, false);
    heap_remove(c, client);
    offline_unlink(c, client);
    table_remove(&c->by_handle, &client->by_handle);
    table_remove(&c->by_id, &client->by_id);
    if (client->person != NULL)
        person_drop(c, client->person);
    free(client);
}

struct client *clients_find(const struct clients *c, const void *handle)
{
    struct table_link *link = table_first(&c->by_handle, handle_hash(handle));
    for (; link != NULL; link = table_next(link)) {
        struct client *client = table_entry(link, struct client, by_handle);
        if (client->handle == handle)
            return client;
    }
    return NULL;
}

char **clients_take_unheard(struct clients *c, size_t *count_out)
{
    char **ids = NULL;
    size_t count = 0;
    for (size_t i = 0; i < c->by_handle.slot_count; i++) {
        for (struct table_link *link = c->by_handle.slots[i]; link != NULL; link = link->next) {
            struct client *client = table_entry(link, struct client, by_handle);
            if (!client->unheard)
                continue;
            client->unheard = false;
            if (!client->connected)
                continue;
            ids = mem_realloc(ids, (count + 1) * sizeof ids[0]);
            ids[count++] = mem_strdup(client->id);
        }
    }
    *count_out = count;
    return ids;
}

struct client *clients_holder(const struct clients *c, const char *id)
{
    struct table_link *link = table_first(&c->by_id, text_hash(id));
    for (; link != NULL; link = table_next(link)) {
        struct client *client = table_entry(link, struct client, by_id);
        if (client->connected && strcmp(client->id, id) == 0)
            return client;
    }
    return NULL;
}

bool clients_knows(const struct clients *c, const char *id)
{
    struct table_link *link = table_first(&c->by_id, text_hash(id));
    for (; link != NULL; link = table_next(link)) {
        struct client *client = table_entry(link, struct client, by_id);
        if (client->person != NULL && strcmp(client->id, id) == 0)
            return true;
    }
    return false;
}

/* The broker closes the older connection of the id right after it has accepted the newer; until then the
 * older one's will may be published, which must count as said by nobody. */
static void replace_others(struct clients *c, const char *id)
{
    struct table_link *link = table_first(&c->by_id, text_hash(id));
    while (link != NULL) {
        struct client *client = table_entry(link, struct client, by_id);
        link = table_next(link);
        if (client->person == NULL || strcmp(client->id, id) != 0)
            continue;
        if (client->connected) {
            set_connected(c, client, false);
            heap_remove(c, client);
            client->replaced = true;
        } else if (!client->replaced) {
            client_remove(c, client);
        }
    }
}

struct client *clients_add(struct clients *c, const void *handle, const char *id, const struct token *token,
                           bool websocket)
{
    struct client *before = clients_find(c, handle);
    if (before != NULL)
        client_remove(c, before);
    if (token != NULL)
        replace_others(c, id);
    size_t size = strlen(id) + 1;
    struct client *client = mem_zalloc(1, sizeof *client + size);
    memcpy(client->id, id, size);
    client->handle = handle;
    client->heap_index = SIZE_MAX;
    client->websocket = websocket;
    table_put(&c->by_handle, &client->by_handle, handle_hash(handle));
    table_put(&c->by_id, &client->by_id, text_hash(id));
    if (token != NULL) {
        client->person = person_hold(c, token->user);
        client->role = token->role;
        client->expires_at_s = token->expires_at_s;
        heap_add(c, client);
    }
    set_connected(c, client, true);
    return client;
}

bool client_may_have_session(const struct client *client)
{
    const struct person *person = client->person;
    return person != NULL && strncmp(client->id, person->user, person->size) == 0 &&
           client->id[person->size] == ':';
}

void clients_disconnected(struct clients *c, const void *handle)
{
    struct client *client = clients_find(c, handle);
    if (client == NULL || (!client->connected && !client->replaced))
        return;
    if (client->replaced || !client_may_have_session(client)) {
        client_remove(c, client);
        return;
    }
    set_connected(c, client, false);
    heap_remove(c, client);
    client->older = c->newest;
    if (c->newest != NULL)
        c->newest->newer = client;
    else
        c->oldest = client;
    c->newest = client;
    if (++c->offline > c->offline_max)
        client_remove(c, c->oldest);
}

void clients_renew(struct clients *c, struct client *client, int64_t expires_at_s)
{
    heap_remove(c, client);
    client->expires_at_s = expires_at_s;
    client->warned = false;
    heap_add(c, client);
}

unsigned clients_connected(const struct clients *c, const char *user)
{
    const struct person *person = person_find(c, user);
    return person == NULL ? 0 : person->connected;
}

size_t clients_online(const struct clients *c)
{
    return c->online;
}

size_t clients_websockets(const struct clients *c)
{
    return c->websockets;
}

size_t clients_count(const struct clients *c)
{
    return c->by_handle.count;
}

struct client *clients_due(struct clients *c, int64_t now_s, enum client_due *due_out)
{
    if (c->heap_count == 0 || due_s(c->heap[0]) > now_s)
        return NULL;
    struct client *client = c->heap[0];
    *due_out = now_s >= client->expires_at_s ? CLIENT_EXPIRED : CLIENT_EXPIRING;
    heap_remove(c, client);
    if (*due_out == CLIENT_EXPIRING) {
        client->warned = true;
        heap_add(c, client);
    }
    return client;
}

struct clients *clients_create(size_t offline_max)
{
    struct clients *c = mem_zalloc(1, sizeof *c);
    c->offline_max = offline_max;
    return c;
}

void clients_destroy(struct clients **clients)
{
    if (clients == NULL || *clients == NULL)
        return;
    struct clients *c = *clients;
    struct table_link *link;
    while ((link = table_take(&c->by_handle)) != NULL) {
        struct client *client = table_entry(link, struct client, by_handle);
        if (client->person != NULL)
            person_drop(c, client->person);
        free(client);
    }
    table_finish(&c->by_handle);
    table_finish(&c->by_id);
    table_finish(&c->persons);
    free(c->heap);
    free(c);
    *clients = NULL;
}
