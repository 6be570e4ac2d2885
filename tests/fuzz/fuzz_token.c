/* Tokens: whatever comes as a password is refused or was signed by one of the keys, and none of these was. */
#include "tests/fuzz/fuzz.h"

#include "core/token.h"

#include <string.h>

static struct config config = {.jwt_algorithms = (char[]){"HS256"},
                               .jwt_secret = (char[]){"0123456789abcdef0123456789abcdef"},
                               .service_secret = (char[]){"00112233445566778899aabbccddeeff"},
                               .trusted_roles = (char[]){"agent"}};

static struct token_keys *make_keys(void)
{
    static struct token_keys *keys;
    if (keys == NULL)
        MUST(token_keys_create(&config, &keys, NULL) == 0);
    return keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token token;
    struct error e = {0};
    const char *text = (const char *)data;
    (void)token_looks_like(text, size);
    MUST(token_verify(make_keys(), text, size, 1795366000, &token, &e) != 0);
    MUST(e.code == ERROR_DENIED && e.text[0] != '\0');
    return 0;
}
