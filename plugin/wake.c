/* The socket's number never changes: a new connection is put under it with dup2, so that senders need no lock
 * and never meet a number that is closed or somebody else's. Every send is non-blocking; a PINGREQ that
 * cannot be sent is made up for by the one that follows each connect, and by the broker's own ticks.
 *
 * The answers (PINGRESP) are thrown away by the broker's thread now and then: reading them in our thread
 * would cost a context switch each. */
#include "plugin/wake.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEEPALIVE_S      10   /* told to the broker; no less than max_keepalive may be */
#define PING_EVERY_MS    1000 /* the loop turns at least so often, for timers */
#define RETRY_MS         50
#define ANSWER_MS        5000
#define COMPLAIN_EVERY_S 30
#define SECRET_BYTES     32
#define DRAIN_EVERY      32 /* pings whose answers lie unread at most */

struct wake {
    pthread_t thread;
    bool running;
    struct sockaddr_un address;
    char secret[SECRET_BYTES * 2 + 1];
    int fd;   /* always open; connected when `connected` is set */
    int stop; /* eventfd */
    atomic_bool connected, pending;
    atomic_uint sent;
    unsigned drained; /* the broker's thread's */
    int64_t complained_ns;
};

static void send_ping(struct wake *wake)
{
    static const unsigned char pingreq[2] = {0xc0, 0};
    if (!atomic_load(&wake->connected))
        return;
    if (send(wake->fd, pingreq, sizeof pingreq, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof pingreq)
        atomic_fetch_add(&wake->sent, 1);
}

void wake_loop(struct wake *wake)
{
    if (!atomic_exchange(&wake->pending, true))
        send_ping(wake);
}

void wake_ticked(struct wake *wake)
{
    if (!atomic_load_explicit(&wake->pending, memory_order_relaxed))
        return;
    atomic_store(&wake->pending, false);
    unsigned sent = atomic_load(&wake->sent);
    if (sent - wake->drained < DRAIN_EVERY)
        return;
    char answers[4096];
    while (recv(wake->fd, answers, sizeof answers, MSG_DONTWAIT) == (ssize_t)sizeof answers)
        ;
    wake->drained = sent;
}

void wake_again(struct wake *wake)
{
    send_ping(wake);
}

bool wake_connected(const struct wake *wake)
{
    return atomic_load(&wake->connected);
}

bool wake_is_password(const struct wake *wake, const char *user, const char *password)
{
    if (user == NULL || password == NULL || strcmp(user, WAKE_USER) != 0 ||
        strlen(password) != SECRET_BYTES * 2)
        return false;
    unsigned differ = 0;
    for (size_t i = 0; i < SECRET_BYTES * 2; i++)
        differ |= (unsigned)((unsigned char)password[i] ^ (unsigned char)wake->secret[i]);
    return differ == 0;
}

static void put_field(struct buf *b, const char *text)
{
    size_t size = strlen(text);
    buf_put_byte(b, (unsigned char)(size >> 8));
    buf_put_byte(b, (unsigned char)size);
    buf_put(b, text, size);
}

/* MQTT 3.1.1, section 3.1: clean session, user name and password. */
static void put_connect(const struct wake *wake, struct buf *packet)
{
    struct buf body = {0};
    put_field(&body, "MQTT");
    buf_put_byte(&body, 4);
    buf_put_byte(&body, 0xc2);
    buf_put_byte(&body, 0);
    buf_put_byte(&body, KEEPALIVE_S);
    put_field(&body, WAKE_USER);
    put_field(&body, WAKE_USER);
    put_field(&body, wake->secret);
    buf_put_byte(packet, 0x10);
    buf_put_byte(packet, (unsigned char)body.size); /* below 128: one byte of length */
    buf_put(packet, body.data, body.size);
    buf_finish(&body);
}

/* Waits for the events or for the order to stop; false when it is time to stop. */
static bool wait_for(struct wake *wake, int fd, short events, int timeout_ms, short *got_out)
{
    struct pollfd polled[2] = {{.fd = wake->stop, .events = POLLIN}, {.fd = fd, .events = events}};
    if (poll(polled, fd < 0 ? 1 : 2, timeout_ms) < 0)
        polled[0].revents = polled[1].revents = 0;
    *got_out = fd < 0 ? 0 : polled[1].revents;
    return polled[0].revents == 0;
}

static void complain(struct wake *wake, const char *what)
{
    int64_t now_ns = clock_mono_ns();
    if (wake->complained_ns != 0 && now_ns - wake->complained_ns < COMPLAIN_EVERY_S * INT64_C(1000000000))
        return;
    wake->complained_ns = now_ns;
    log_warn("wake",
             "can't wake the broker's loop through %s (%s): messages wait up to 100 ms longer; put the line "
             "`listener 0 %s` into mosquitto.conf",
             wake->address.sun_path, what, wake->address.sun_path);
}

/* A connected and accepted socket, or -1 with *why_out. */
static int wake_connect(struct wake *wake, const char **why_out)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&wake->address, sizeof wake->address) != 0) {
        *why_out = strerrordesc_np(errno); /* untranslated: takes no lock */
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct buf packet = {0};
    put_connect(wake, &packet);
    ssize_t sent = send(fd, packet.data, packet.size, MSG_NOSIGNAL);
    unsigned char answer[4];
    short got = 0;
    bool going = sent == (ssize_t)packet.size && wait_for(wake, fd, POLLIN, ANSWER_MS, &got);
    buf_finish(&packet);
    if (going && got != 0 && recv(fd, answer, sizeof answer, 0) == (ssize_t)sizeof answer &&
        answer[0] == 0x20 && answer[3] == 0)
        return fd;
    *why_out = "the broker did not accept our CONNECT there";
    close(fd);
    return -1;
}

/* Keeps the loop turning until the connection ends; false when it is time to stop. */
static bool wake_hold(struct wake *wake)
{
    for (;;) {
        short got = 0;
        if (!wait_for(wake, wake->fd, POLLRDHUP, PING_EVERY_MS, &got))
            return false;
        if ((got & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0)
            return true;
        wake_loop(wake);
        send_ping(wake);
    }
}

static void *wake_run(void *context)
{
    struct wake *wake = context;
    bool going = true;
    int64_t lost_ns = clock_mono_ns();
    while (going) {
        const char *why = NULL;
        int fd = wake_connect(wake, &why);
        if (fd < 0) {
            short got;
            /* The broker opens its listeners after its plugins have started, and closes them before. */
            if (clock_mono_ns() - lost_ns > INT64_C(2000000000))
                complain(wake, why);
            going = wait_for(wake, -1, 0, RETRY_MS, &got);
            continue;
        }
        dup2(fd, wake->fd);
        close(fd);
        atomic_store(&wake->connected, true);
        atomic_store(&wake->pending, true);
        send_ping(wake);
        going = wake_hold(wake);
        atomic_store(&wake->connected, false);
        lost_ns = clock_mono_ns();
    }
    return NULL;
}

int wake_create(const char *path, struct wake **out, struct error *e)
{
    struct wake *wake = mem_zalloc(1, sizeof *wake);
    unsigned char secret[SECRET_BYTES];
    wake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    wake->stop = eventfd(0, EFD_CLOEXEC);
    if (wake->fd < 0 || wake->stop < 0) {
        error_set(e, ERROR_INTERNAL, "no_socket", "can't make a socket: %s", strerrordesc_np(errno));
        wake_destroy(&wake);
        return -1;
    }
    if (strlen(path) >= sizeof wake->address.sun_path) {
        error_set(e, ERROR_INVALID, "bad_option", "wake_socket: %s is longer than %zu bytes", path,
                  sizeof wake->address.sun_path - 1);
        wake_destroy(&wake);
        return -1;
    }
    wake->address.sun_family = AF_UNIX;
    memcpy(wake->address.sun_path, path, strlen(path) + 1);
    random_bytes(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++) {
        wake->secret[2 * i] = "0123456789abcdef"[secret[i] >> 4];
        wake->secret[2 * i + 1] = "0123456789abcdef"[secret[i] & 15];
    }
    *out = wake;
    return 0;
}

/* Signals are the broker's: none may be delivered to a thread of ours. */
int wake_start(struct wake *wake, struct error *e)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    wake->running = pthread_create(&wake->thread, NULL, wake_run, wake) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return wake->running ? 0 : error_set(e, ERROR_INTERNAL, "no_thread", "can't start the wake-up thread");
}

void wake_stop(struct wake *wake)
{
    uint64_t one = 1;
    if (wake == NULL || !wake->running)
        return;
    if (write(wake->stop, &one, sizeof one) == (ssize_t)sizeof one)
        pthread_join(wake->thread, NULL);
    wake->running = false;
}

void wake_destroy(struct wake **wake)
{
    if (wake == NULL || *wake == NULL)
        return;
    wake_stop(*wake);
    if ((*wake)->fd >= 0)
        close((*wake)->fd);
    if ((*wake)->stop >= 0)
        close((*wake)->stop);
    free(*wake);
    *wake = NULL;
}
