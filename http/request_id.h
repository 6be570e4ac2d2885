/* The id by which a request is found in logs and answers: the client's own when it is a plain word, else one
 * of ours.
 *
 * Thread: the listener's.
 * Owns:   nothing. */
#ifndef PARLOR_HTTP_REQUEST_ID_H
#define PARLOR_HTTP_REQUEST_ID_H

#include <stdint.h>

#define REQUEST_ID_MAX 64

struct request_ids {
    uint32_t base; /* random: with a counter it makes ids */
    uint64_t next;
};

void request_ids_init(struct request_ids *ids);
void request_id_make(struct request_ids *ids, const char *wanted,
                     char out[REQUEST_ID_MAX + 1]); /* wanted: NULL for none */

#endif
