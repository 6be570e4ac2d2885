/* mosquitto.conf: any file is read; keys and values are single words and lines of it. */
#include "tests/fuzz/fuzz.h"

#include "core/brokerconf.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check(const struct brokerconf *conf)
{
    struct brokerconf_listener listeners[4];
    for (size_t i = 0; i < brokerconf_count(conf); i++) {
        const struct brokerconf_line *line = brokerconf_at(conf, i);
        MUST(line->key[0] != '\0' && strchr(line->key, ' ') == NULL && line->line > 0);
        MUST(strchr(line->value, '\n') == NULL);
        MUST(brokerconf_find(conf, line->key, NULL) != NULL);
    }
    size_t count = brokerconf_listeners(conf, listeners, 4);
    MUST(count >= 1);
    for (size_t i = 0; i < count && i < 4; i++)
        MUST(listeners[i].port <= 65535);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    struct brokerconf *conf;
    if (memmem(data, size, "include_dir", 11) != NULL) /* it would go and read this machine's folders */
        return 0;
    int fd = memfd_create("mosquitto.conf", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (brokerconf_load(path, &conf, NULL) == 0)
        check(conf);
    brokerconf_destroy(&conf);
    close(fd);
    return 0;
}
