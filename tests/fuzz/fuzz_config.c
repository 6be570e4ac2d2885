/* parlor.conf: any file is loaded or refused with a text in UTF-8. */
#include "tests/fuzz/fuzz.h"

#include "core/config.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    struct config *config;
    struct error e = {0};
    int fd = memfd_create("parlor.conf", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (config_load(path, CONFIG_PLUGIN, &config, &e) == 0) {
        MUST(config->database_url != NULL && config->http_port >= 1);
        MUST(config->content_bytes_max <= config->payload_bytes_max);
    } else {
        MUST(config == NULL && e.code == ERROR_INVALID && e.text[0] != '\0');
    }
    config_destroy(&config);
    close(fd);
    return 0;
}
