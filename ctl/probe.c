#include "ctl/probe.h"

#include "core/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX 65536

static int no_answer(const char *host, int64_t port, const char *why, struct error *e)
{
    return error_set(e, ERROR_UNAVAILABLE, "no_answer", "nothing answers on %s port %" PRId64 ": %s", host,
                     port, why);
}

/* 1 when the socket is ready, 0 when the deadline passed. */
static int wait_for(int fd, short events, int64_t deadline_ns)
{
    for (;;) {
        int64_t left_ms = (deadline_ns - clock_mono_ns()) / 1000000;
        if (left_ms <= 0)
            return 0;
        struct pollfd p = {.fd = fd, .events = events};
        int ready = poll(&p, 1, left_ms > 1000 ? 1000 : (int)left_ms);
        if (ready > 0)
            return 1;
        if (ready < 0 && errno != EINTR)
            return 0;
    }
}

/* One address; the socket, or -1 with errno. */
static int connect_one(const struct addrinfo *at, int64_t deadline_ns)
{
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0)
        return -1;
    int why = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (why == EINPROGRESS) {
        socklen_t size = sizeof why;
        if (wait_for(fd, POLLOUT, deadline_ns) == 0)
            why = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0)
            why = errno;
    }
    if (why == 0)
        return fd;
    close(fd);
    errno = why;
    return -1;
}

static int connect_to(const char *host, int64_t port, int64_t deadline_ns, struct error *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    char port_text[24];
    snprintf(port_text, sizeof port_text, "%" PRId64, port);
    int code = getaddrinfo(host, port_text, &hints, &list);
    if (code != 0)
        return no_answer(host, port, gai_strerror(code), e);
    int fd = -1;
    for (const struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next)
        fd = connect_one(at, deadline_ns);
    int why = errno;
    freeaddrinfo(list);
    return fd >= 0 ? fd : no_answer(host, port, strerror(why), e);
}

int probe_tcp(const char *host, int64_t port, int64_t timeout_ms, struct error *e)
{
    int fd = connect_to(host, port, clock_mono_ns() + timeout_ms * 1000000, e);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int send_all(int fd, const struct buf *bytes, int64_t deadline_ns)
{
    for (size_t sent = 0; sent < bytes->size;) {
        ssize_t now = send(fd, bytes->data + sent, bytes->size - sent, MSG_NOSIGNAL);
        if (now > 0)
            sent += (size_t)now;
        else if (now < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        else if (wait_for(fd, POLLOUT, deadline_ns) == 0)
            return -1;
    }
    return 0;
}

/* Reads until the other end closes, which `Connection: close` asks for. */
static int receive_all(int fd, struct buf *out, int64_t deadline_ns)
{
    while (out->size < ANSWER_MAX) {
        buf_reserve(out, 4096);
        ssize_t now = recv(fd, out->data + out->size, 4096, 0);
        if (now == 0)
            return 0;
        if (now > 0) {
            out->size += (size_t)now;
            out->data[out->size] = '\0';
        } else if ((errno != EAGAIN && errno != EINTR) || wait_for(fd, POLLIN, deadline_ns) == 0) {
            return -1;
        }
    }
    return 0;
}

static int read_answer(const struct buf *answer, struct buf *body)
{
    static const char version[] = "HTTP/1.";
    if (answer->size < 12 || memcmp(answer->data, version, sizeof version - 1) != 0)
        return -1;
    const char *end = strstr(answer->data, "\r\n\r\n");
    if (end == NULL)
        return -1;
    buf_put(body, end + 4, answer->size - (size_t)(end + 4 - answer->data));
    long status = strtol(answer->data + 9, NULL, 10);
    return status >= 100 && status <= 599 ? (int)status : -1;
}

int probe_http(const char *host, int64_t port, const char *path, int64_t timeout_ms, struct buf *body,
               struct error *e)
{
    int64_t deadline_ns = clock_mono_ns() + timeout_ms * 1000000;
    int fd = connect_to(host, port, deadline_ns, e);
    if (fd < 0)
        return -1;
    struct buf request = {0}, answer = {0};
    buf_printf(&request, "GET %s HTTP/1.1\r\nHost: %s:%" PRId64 "\r\nConnection: close\r\n\r\n", path, host,
               port);
    int status = -1;
    if (send_all(fd, &request, deadline_ns) == 0 && receive_all(fd, &answer, deadline_ns) == 0)
        status = read_answer(&answer, body);
    close(fd);
    buf_finish(&request);
    buf_finish(&answer);
    return status >= 0 ? status : no_answer(host, port, "it accepts connections but does not speak HTTP", e);
}

const char *probe_reachable(const char *address)
{
    if (strcmp(address, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(address, "::") == 0 ? "::1" : address;
}
