/* The id by which a request is found in logs and answers: the client's own when it is a plain word, else one
 * of ours, which stays a number until a line is written.
 *
 * Flow:   listener, sockets and ingress give each request one; the packed link carries it to the plugin.
 * Thread: a struct request_ids belongs to one; the rest is pure.
 * Owns:   nothing. */
#ifndef PARLOR_CORE_REQUEST_ID_H
#define PARLOR_CORE_REQUEST_ID_H

#include <stdint.h>

#define REQUEST_ID_MAX      64 /* bytes of a client's own */
#define REQUEST_NUMBER_SIZE 26 /* of a number as text, with its zero byte */

/* One of ours. */
struct request_number {
    uint32_t base;
    uint64_t count;
};

struct request_ids {
    struct request_number next; /* its base is random: two processes make different ids */
};

void request_ids_init(struct request_ids *ids);
struct request_number request_ids_take(struct request_ids *ids);
void request_number_format(struct request_number number, char out[REQUEST_NUMBER_SIZE]);

/* What the client wants (1 to REQUEST_ID_MAX of A-Z a-z 0-9 . _ -; NULL for none), else one of ours. */
void request_id_make(struct request_ids *ids, const char *wanted, char out[REQUEST_ID_MAX + 1]);

#endif
