/* A message: what a client may ask to have stored (draft), and how the stored one is printed.
 *
 * Flow:   payload of any door -> draft_parse -> writer -> struct message -> message_print -> every door.
 * Thread: any; pure. Used by the writer's thread, never by the broker's.
 * Owns:   a draft owns its tree and texts until draft_finish. */
#ifndef PARLOR_CORE_MESSAGE_H
#define PARLOR_CORE_MESSAGE_H

#include "core/buf.h"
#include "core/config.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/json.h"

#include <stdbool.h>
#include <stdint.h>

#define MENTIONS_MAX    50
#define ATTACHMENTS_MAX 10

struct draft {
    char client_message_id[CLIENT_MESSAGE_ID_MAX + 1]; /* "" when the client gave none */
    const char *type;                                  /* "text" or "media" */
    const char *content;                               /* NULL when there is none */
    size_t content_size;
    bool has_reply;
    struct uuid reply_to;
    struct buf mentions;    /* a JSON array of user ids, compact */
    struct buf attachments; /* a JSON array of attachment ids, compact */
    unsigned attachment_count;
    int64_t body_hash; /* of everything but client_message_id, the same on every machine: a resend with
                          another one conflicts */
    struct json *tree;
};

/* Reads `{"clientMessageId","content","type","mentions","replyToId","attachmentIds"}`; unknown names are
 * ignored. Bounds: contract.md 3b. 0, or -1 with INVALID `invalid_json` or `invalid_message` (every wrong
 * field is named in the text), or LIMIT `content_too_large`. Whatever it returns, draft_finish frees. When
 * the payload is JSON and has a valid clientMessageId, that is set even if the rest is refused, so that the
 * refusal can name it. */
int draft_parse(const char *payload, size_t size, const struct config *config, struct draft *out,
                struct error *e);
void draft_finish(struct draft *d);

struct message {
    struct uuid id, room;
    int64_t seq, rev;
    const char *sender, *client_message_id, *type;
    const char *content; /* NULL prints null */
    size_t content_size;
    const char *mentions;    /* JSON array text */
    const char *attachments; /* JSON array text of attachment objects */
    bool has_reply;
    struct uuid reply_to;
    int64_t created_at_ms;
    int64_t edited_at_ms, deleted_at_ms; /* 0: null */
};

/* Appends the object `message` of contract.md, keys in its order. */
void message_print(struct buf *out, const struct message *m);

/* The seq of an object that message_print or the database's parlor_message_json printed: it has a fixed
 * place. False for any other text, NULL too. */
bool message_read_seq(const char *json, size_t size, int64_t *seq_out);

/* Appends an answer for users/{user}/acks. */
void ack_print_stored(struct buf *out, const char *client_message_id, const struct uuid *id,
                      const struct uuid *room, int64_t seq, int64_t created_at_ms);
void ack_print_rejected(struct buf *out, const char *client_message_id /* NULL prints null */,
                        const struct error *why);

#endif
