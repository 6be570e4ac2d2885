/* Ids: UUIDv7 (RFC 9562, section 5.7) for what we store, and the rules for users' ids.
 *
 * Thread: any; uuid_make is safe from several threads at once and rises within a process. */
#ifndef PARLOR_CORE_IDS_H
#define PARLOR_CORE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_SIZE        37 /* with its zero byte */
#define USER_ID_MAX           128
#define CLIENT_MESSAGE_ID_MAX 128

struct uuid {
    uint8_t bytes[16];
};

/* A new UUIDv7 for the wall clock's now_ms, larger than any made before by this process. */
void uuid_make(struct uuid *out, int64_t now_ms);

/* The canonical form of 36 characters, either case. True when it is one. */
bool uuid_parse(const char *text, size_t size, struct uuid *out);
void uuid_format(const struct uuid *id, char out[UUID_TEXT_SIZE]); /* lower case */
bool uuid_equal(const struct uuid *a, const struct uuid *b);
uint64_t uuid_hash(const struct uuid *id); /* spread over 64 bits */

/* 1 to USER_ID_MAX of `A-Z a-z 0-9 . _ @ | = -`, but not "." or "..". */
bool user_id_valid(const char *text, size_t size);

/* 1 to CLIENT_MESSAGE_ID_MAX bytes of UTF-8 without control characters. */
bool client_message_id_valid(const char *text, size_t size);

/* The value of a hexadecimal digit of either case, or -1. */
int hex_digit(char c);

/* Fills with random bytes from the kernel. */
void random_bytes(void *out, size_t size);

uint64_t bytes_hash(const void *bytes, size_t size); /* 64 bits, seeded per process: not for storage */

#endif
