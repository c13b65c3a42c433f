#define _POSIX_C_SOURCE 200809L
#include "base/hash.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed) { return XXH3_64bits_withSeed(data, size, seed); }

static void to_hex(char out[HASH_HEX_SIZE], XXH128_hash_t h) {
    snprintf(out, HASH_HEX_SIZE, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void hash_hex(char out[HASH_HEX_SIZE], const void *data, size_t size) { to_hex(out, XXH3_128bits(data, size)); }

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static status hash_folder(struct buf *digest, const char *path) {
    struct dirent **names;
    int count = scandir(path, &names, NULL, by_name);
    if (count < 0) return FAIL(ST_IO, "%s: cannot list the folder", path);
    status s = ST_OK;
    for (int i = 0; i < count; i++) {
        char *file = file_join(path, names[i]->d_name);
        if (s == ST_OK && names[i]->d_name[0] != '.' && file_exists(file) && !file_is_dir(file)) {
            char hex[HASH_HEX_SIZE];
            s = hash_path(hex, file);
            if (s == ST_OK) buf_printf(digest, "%s %s\n", hex, names[i]->d_name);
        }
        free(file);
        free(names[i]);
    }
    free(names);
    return s;
}

status hash_path(char out[HASH_HEX_SIZE], const char *path) {
    if (file_is_dir(path)) {
        struct buf digest = {0};
        status s = hash_folder(&digest, path);
        if (s == ST_OK) hash_hex(out, digest.data, digest.size);
        buf_release(&digest);
        return s;
    }
    struct file_map m;
    TRY(file_map_open(&m, path));
    hash_hex(out, m.data, m.size);
    file_map_release(&m);
    return ST_OK;
}
