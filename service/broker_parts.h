/* The inside of a broker, shared by its three files: broker.c (packing, watches, barriers, the link's life),
 * broker_sends.c (what waits for an answer) and broker_live.c (receipts, events, typing, presence).
 *
 * Flow:   included by service/broker*.c alone.
 * Thread: the loop's.
 * Owns:   see broker.h. */
#ifndef PARLOR_SERVICE_BROKER_PARTS_H
#define PARLOR_SERVICE_BROKER_PARTS_H

#include "core/wire.h"
#include "service/barriers.h"
#include "service/broker.h"
#include "service/link.h"
#include "service/onlines.h"
#include "service/watches.h"

#define SENDS_TABLE 4096 /* a power of two */
#define NS_PER_MS   1000000

/* A send or a mark without an answer. */
struct send {
    struct send *next, *previous; /* in the order of their making */
    struct send *next_hashed;
    enum wire_type type; /* SEND, READ or DELIVERED */
    uint64_t request;
    struct uuid room;
    int64_t made_ns;
    unsigned tries;
    bool put_back; /* the plugin had no room for it: again at the next tick */
    struct error error;
    broker_answer_fn done;
    void *context;
    char fallback_id[UUID_TEXT_SIZE];
    size_t user_size, payload_size, request_id_size;
    char user[]; /* behind it the payload and the request's id */
};

enum phase { PHASE_DOWN, PHASE_GREETING, PHASE_LINKED };

struct broker {
    struct broker_port port; /* first */
    struct loop *loop;
    const struct config *config;
    const struct members *members;
    const struct broker_events *events;
    struct link *link;
    struct loop_hook hook;
    struct timer *tick;
    unsigned ticks;
    enum phase phase;
    struct buf packet;
    uint32_t number_out, number_in;        /* of the last packet each way */
    int64_t greeted_ns, heard_ns, down_ns; /* of PHASE_DOWN: since when */
    bool database_up;
    bool complained;        /* that the plugin does not answer */
    int64_t plugin_version; /* of the plugin's members; -1: not known on this link */
    struct send *first, *last, *failed;
    struct send *table[SENDS_TABLE];
    size_t send_count;
    uint64_t last_request;
    struct watches watches;
    struct barriers barriers;
    struct onlines *here;   /* users with sockets at this node */
    struct onlines *online; /* at any door, as the plugin told; named in the round of the last HELLO */
    uint32_t round;
    int64_t forget_ns; /* when those of older rounds are offline; 0: it was done */
    int64_t event;     /* number of the last one told; -1: not known, 0: none */
    bool skips_events; /* of this packet: they are told after the HELLO that follows it */
    bool acquainted;   /* the plugin has told once who is online */
    broker_api_fn on_api;
    void *api_context;
    struct buf metrics;
};

/* broker.c */
int64_t broker_now_ns(struct broker *b);
void broker_put(struct broker *b, const struct wire_record *record);

/* broker_sends.c */
void broker_put_send(struct broker *b, struct send *s);
void broker_answer_failed(struct send *s);
void broker_fail_late(struct broker *b, struct send *s);
void broker_on_send(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                    void *context);
void broker_on_mark(struct broker_port *port, bool delivered, const struct broker_send *mark,
                    broker_answer_fn done, void *context);
void broker_on_stored(struct broker *b, const struct wire_record *r);
void broker_on_rejected(struct broker *b, const struct wire_record *r);

/* broker_live.c */
void broker_on_receipt(struct broker *b, const struct wire_record *r);
void broker_on_event(struct broker *b, const struct wire_record *r);
void broker_on_typed(struct broker *b, const struct wire_record *r);
void broker_on_typing(struct broker_port *port, const struct uuid *room, const char *user, bool on);
void broker_put_here(void *context, const char *user);
void broker_on_online(struct broker_port *port, const char *user, bool on);
void broker_on_presence(struct broker *b, const struct wire_record *r);
void broker_forget_absent(struct broker *b);

#endif
