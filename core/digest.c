#include "core/digest.h"

#include <openssl/evp.h>
#include <string.h>

#define KEY_SIZE   24 /* base64 of 16 bytes */
#define GUID       "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define BASE64_SET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

bool websocket_accept_key(const char *key, char out[WEBSOCKET_ACCEPT_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[KEY_SIZE + sizeof GUID];

    if (strlen(key) != KEY_SIZE || strspn(key, BASE64_SET) != KEY_SIZE - 2 ||
        strcmp(key + KEY_SIZE - 2, "==") != 0)
        return false;
    memcpy(text, key, KEY_SIZE);
    memcpy(text + KEY_SIZE, GUID, sizeof GUID);
    if (EVP_Digest(text, KEY_SIZE + sizeof GUID - 1, digest, NULL, EVP_sha1(), NULL) != 1)
        return false;
    EVP_EncodeBlock((unsigned char *)out, digest, 20);
    return true;
}
