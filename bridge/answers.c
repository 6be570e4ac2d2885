#include "bridge/answers.h"

#include "core/json.h"
#include "core/log.h"

#define PATTERN_LOGGED 64

void answer_log(const char *user, struct slice pattern, struct request_number request, const char *outcome)
{
    char id[REQUEST_NUMBER_SIZE];
    int size = (int)(pattern.size < PATTERN_LOGGED ? pattern.size : PATTERN_LOGGED);

    if (!log_wanted(LOG_LEVEL_DEBUG))
        return;
    request_number_format(request, id);
    log_debug("bridge", "answered event=%.*s user=%s outcome=%s request=%s", size, pattern.text, user,
              outcome, id);
}

void answer_error(struct socket *socket, const struct ack_id *ack, struct slice pattern, struct slice data,
                  const struct error *why)
{
    struct buf text = {0};

    buf_put_text(&text, "{\"status\":\"error\"");
    if (ack->size > 0) {
        buf_put_text(&text, ",\"code\":");
        json_put_text(&text, why->word);
    }
    buf_put_text(&text, ",\"message\":");
    json_put_text(&text, why->text);
    if (ack->size == 0) {
        buf_put_text(&text, ",\"code\":");
        json_put_text(&text, why->word);
        buf_put_text(&text, ",\"cause\":{\"pattern\":");
        json_put_string(&text, pattern.text, pattern.size);
        buf_put_text(&text, ",\"data\":");
        if (data.size > 0)
            buf_put(&text, data.text, data.size);
        else
            buf_put_text(&text, "null");
        buf_put_byte(&text, '}');
    }
    buf_put_byte(&text, '}');
    if (ack->size > 0)
        socket_ack(socket, ack, (struct slice){text.data, text.size}, NULL, 0);
    else
        socket_emit(socket, "exception", (struct slice){text.data, text.size});
    buf_finish(&text);
}
