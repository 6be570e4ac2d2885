#include "http/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024

int address_listen(const char *address, int port, struct error *e)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    if (strcmp(address, "localhost") != 0)
        hints.ai_flags |= AI_NUMERICHOST;
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "%s is no address to listen at: give a numeric one, as 127.0.0.1 or ::", address);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int bound = -1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0)
        bound = bind(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (bound == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (why == EADDRINUSE)
        return error_set(e, ERROR_UNAVAILABLE, "address_in_use",
                         "%s port %d is in use: end the process that listens there or choose another port",
                         address, port);
    if (why == EACCES)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "%s port %d needs a right that this user lacks: choose a port above 1023", address,
                         port);
    return error_set(e, ERROR_INVALID, "bad_option", "can't listen at %s port %d: %s", address, port,
                     strerror(why));
}

int address_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &size) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

void address_text(const struct sockaddr *a, char out[ADDRESS_TEXT_SIZE])
{
    out[0] = '\0';
    if (a->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, out, ADDRESS_TEXT_SIZE);
    } else if (a->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six))
            inet_ntop(AF_INET, &six->s6_addr[12], out, ADDRESS_TEXT_SIZE);
        else
            inet_ntop(AF_INET6, six, out, ADDRESS_TEXT_SIZE);
    }
}
