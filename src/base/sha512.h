/* sha512: SHA-512 (FIPS 180-4), by which Python's random seeds itself with a text. For keys of our own there is base/hash.h. */
#ifndef RAPT_BASE_SHA512_H
#define RAPT_BASE_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define SHA512_SIZE 64
void sha512(unsigned char out[SHA512_SIZE], const void *data, size_t size);

#endif
