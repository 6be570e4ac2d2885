/* /api/v1/chat/rooms/:id/messages: sending one, reading pages of them; and what a message's own routes ask
 * first.
 *
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_MESSAGES_H
#define PARLOR_HTTP_MESSAGES_H

#include "http/exchange.h"

void messages_create(struct exchange *x);
void messages_list(struct exchange *x);

/* What is known of the message in the path, for its asker. */
struct message_facts {
    struct uuid room;
    int64_t seq;
    bool own;             /* the asker sent it */
    bool by_a_person;     /* its type is text or media */
    bool has_attachments; /* then its content may be missing */
    enum room_type room_type;
    enum member_role member; /* the asker's role in its room */
    const char *role;        /* the same, as the database has it; in the answer */
};

/* Asks the database for the message whose id is the path's first part; answers 400 when it is no id. */
void messages_find(struct exchange *x, exchange_db_fn done);

/* Reads the answer to messages_find, for a member who may see the message. Else answers (404, 403 to an agent
 * who has not joined) and returns false. */
bool messages_facts(struct exchange *x, const struct db_answer *answer, struct message_facts *out);

/* 404, the same for strangers and unknown ids; and 403 by the doorkeeper's rule. */
void messages_refuse_unknown(struct exchange *x);
void messages_refuse_right(struct exchange *x, const struct verdict *verdict);

#endif
