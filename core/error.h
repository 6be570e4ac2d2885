/* What went wrong: a class for the program, a stable word for clients, a sentence for people.
 *
 * Flow:   filled by the function that fails, translated only at the edges (MQTT reason, HTTP status, socket
 * ack). Thread: any; a struct error belongs to its caller. Owns:   nothing; texts are copied in and cut to
 * fit. */
#ifndef PARLOR_CORE_ERROR_H
#define PARLOR_CORE_ERROR_H

enum error_code {
    ERROR_NONE = 0,
    ERROR_INVALID,     /* the caller's input breaks a rule: 400 */
    ERROR_DENIED,      /* known, but without the right: 403 (401 when code_text is invalid_token) */
    ERROR_NOT_FOUND,   /* not there, or not for this one to know: 404 */
    ERROR_CONFLICT,    /* clashes with what is stored: 409 */
    ERROR_LIMIT,       /* too big, too many, too fast: 413 or 429 */
    ERROR_UNAVAILABLE, /* a part that we need does not answer; nothing was changed: 503 */
    ERROR_UNCERTAIN,   /* no answer in time: it may or may not have happened: 503 */
    ERROR_INTERNAL     /* our own fault: 500 */
};

#define ERROR_WORD_MAX 40
#define ERROR_TEXT_MAX 320

struct error {
    enum error_code code;
    char word[ERROR_WORD_MAX]; /* the stable `code` of contract.md, as room_not_found */
    char text[ERROR_TEXT_MAX]; /* one sentence: what is wrong and what would be right */
};

/* Fills e (which may be NULL) and returns -1, so that callers can `return error_set(...)`. */
int error_set(struct error *e, enum error_code code, const char *word, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts `format` and ": " before the text that e has; returns -1. */
int error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The HTTP status that stands for e (400 to 503). LIMIT is 413 when its word ends in _too_large, else 429;
 * DENIED is 401 when its word is invalid_token or token_expired. */
int error_http_status(const struct error *e);

#endif
