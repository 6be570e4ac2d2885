#include "http/refusal.h"

#include "http/access_log.h"

void refusal_make(struct refusal *refusal, const struct request *request, const char *cors_origins,
                  int status, const char *reason, const char *word, const char *text)
{
    size_t n = cors_headers(cors_origins, request, refusal->headers);
    refusal->headers[n++] = "X-Request-Id";
    refusal->headers[n++] = request->request_id;
    if (status == 503) {
        refusal->headers[n++] = "Retry-After";
        refusal->headers[n++] = "1";
    }
    refusal->headers[n] = NULL;
    refusal->body = (struct buf){0};
    buf_printf(&refusal->body,
               "{\"statusCode\":%d,\"error\":\"%s\",\"code\":\"%s\",\"message\":\"%s\",\"requestId\":\"%s\"}",
               status, reason, word, text, request->request_id);
    refusal->reply = (struct reply){.status = status,
                                    .content_type = "application/json; charset=utf-8",
                                    .body = refusal->body.data,
                                    .body_size = refusal->body.size,
                                    .headers = refusal->headers};
    access_log_line(LOG_LEVEL_DEBUG, request, NULL, status, 0, "");
}

void refusal_finish(struct refusal *refusal)
{
    buf_finish(&refusal->body);
}
