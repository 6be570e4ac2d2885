/* The path comes last: it is the client's, and a line that is too long loses its end. */
#include "http/access_log.h"

void access_log_line(enum log_level level, const struct request *request, const char *route, int status,
                     int64_t spent_ns, const char *user)
{
    log_line(level, "http", "answered method=%s status=%d ms=%.2f user=%s request=%s route=%s path=%.300s",
             request->method, status, (double)spent_ns / 1e6, user[0] != '\0' ? user : "-",
             request->request_id, route != NULL ? route : "none",
             request->path != NULL ? request->path : "-");
}
