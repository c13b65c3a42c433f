/* hash: content keys (XXH3, from libxxhash) for files, rows and options. */
#ifndef RAPT_BASE_HASH_H
#define RAPT_BASE_HASH_H

#include "base/status.h"

/* 64 bits of XXH3 over the bytes, with a seed. */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);

#define HASH_HEX_SIZE 33
/* 128 bits of XXH3 of a file's content (or of every regular file of a folder, by name order) as 32 hex digits. */
status hash_path(char out[HASH_HEX_SIZE], const char *path);
/* The same of bytes in memory. */
void hash_hex(char out[HASH_HEX_SIZE], const void *data, size_t size);

#endif
