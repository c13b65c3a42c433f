#include "base/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define RAW_SIZE ((size_t)1 << 18)

static status read_fail(const struct input *in) { return FAIL(ST_IO, "%s: cannot read: %s", in->path, strerror(errno)); }

/* More of the file into raw, which is used up. */
static status fill(struct input *in) {
    in->raw_before += in->raw_size;
    in->raw_at = 0;
    in->raw_size = in->raw_end ? 0 : fread(in->raw, 1, RAW_SIZE, in->stream);
    in->raw_end = in->raw_size < RAW_SIZE;
    return in->raw_end && ferror(in->stream) ? read_fail(in) : ST_OK;
}

uint64_t input_taken(const struct input *in) { return in->raw_before + in->raw_at; }

static status damaged(const struct input *in, const char *what, const char *why) {
    return FAIL(ST_FORMAT, "%s: byte %llu: damaged %s data (%s)", in->path, (unsigned long long)input_taken(in), what, why);
}

/* ---- what it is ---- */

struct magic {
    const char *bytes;
    size_t size;
    enum input_form form;
    const char *refused; /* what it is, where it is not read */
};
#define MAGIC(bytes, form) {bytes, sizeof bytes - 1, form, NULL}
#define REFUSED(bytes, what) {bytes, sizeof bytes - 1, INPUT_PLAIN, what}
static const struct magic magics[] = {
    MAGIC("\x1f\x8b", INPUT_GZIP),
    MAGIC("\x28\xb5\x2f\xfd", INPUT_ZSTD),
    MAGIC("PAR1", INPUT_PARQUET),
    REFUSED("PARE", "a Parquet file with an encrypted footer"),
    REFUSED("BZh", "a bzip2 file"),
    REFUSED("\xfd"
            "7zXZ",
            "an xz file"),
    REFUSED("\x04\x22\x4d\x18", "an lz4 file"),
    REFUSED("PK\x03\x04", "a zip archive"),
    REFUSED("7z\xbc\xaf\x27\x1c", "a 7z archive"),
    REFUSED("ARROW1", "an Arrow file"),
    REFUSED("\xff\xff\xff\xff", "an Arrow stream, as save_to_disk of datasets writes it"),
    REFUSED("GGUF", "a GGUF model"),
};

static const struct magic *recognise(const struct input *in) {
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
        if (in->raw_size >= magics[i].size && memcmp(in->raw, magics[i].bytes, magics[i].size) == 0) return &magics[i];
    /* zstd's skippable frames: 0x184D2A50 to 0x184D2A5F */
    static const struct magic skippable = MAGIC("", INPUT_ZSTD);
    if (in->raw_size >= 4 && memcmp(in->raw + 1, "\x2a\x4d\x18", 3) == 0 && ((unsigned char)in->raw[0] & 0xf0) == 0x50) return &skippable;
    return NULL;
}

static status open_gzip(struct input *in) {
    z_stream *z = in->codec = mem_zero(1, sizeof *z);
    in->inside = true;
    if (inflateInit2(z, 15 + 16) == Z_OK) return ST_OK; /* the largest window; gzip headers */
    free(z);
    in->codec = NULL;
    return FAIL(ST_NOMEM, "%s: no memory to unpack gzip", in->path);
}

static status open_zstd(struct input *in) {
    in->codec = ZSTD_createDStream();
    in->inside = true;
    return in->codec ? ST_OK : FAIL(ST_NOMEM, "%s: no memory to unpack zstd", in->path);
}

/* The file's own name stays out of the query: the program finds it open. */
static status open_parquet(struct input *in) {
    static char init[] = "-init", null[] = "/dev/null", batch[] = "-batch", command[] = "-c",
                query[] = "SET autoinstall_known_extensions = false; COPY (SELECT * FROM read_parquet('" CHILD_FILE
                          "')) TO '/dev/stdout' (FORMAT json)";
    if (in->stream == stdin) return FAIL(ST_UNSUPPORTED, "%s: a Parquet file is read from a file, not from a pipe", in->path);
    const char *named = getenv("RAPT_DUCKDB");
    char *program = mem_keep(mem_text(named && *named ? named : "duckdb"));
    char *argv[] = {program, init, null, batch, command, query, NULL};
    bool found;
    status s = child_start(&in->child, &found, argv, in->path);
    if (!found)
        return FAIL(ST_UNSUPPORTED,
                    "%s: is a Parquet file; these are read through the DuckDB command line, and there is no program '%s'. Install it "
                    "(https://duckdb.org/docs/installation, or pip install duckdb-cli), or name it in RAPT_DUCKDB",
                    in->path, program);
    return s == ST_OK ? s : status_note(s, "%s: ", in->path);
}

static status open_form(struct input *in) {
    TRY(fill(in));
    const struct magic *m = recognise(in);
    if (m && m->refused)
        return FAIL(ST_UNSUPPORTED, "%s: is %s; read are JSON, JSONL, either of them as gzip or zstd, and Parquet", in->path, m->refused);
    in->form = m ? m->form : INPUT_PLAIN;
    switch (in->form) {
    case INPUT_GZIP: return open_gzip(in);
    case INPUT_ZSTD: return open_zstd(in);
    case INPUT_PARQUET: return open_parquet(in);
    case INPUT_PLAIN: break;
    }
    return ST_OK;
}

status input_open(struct input *in, const char *path) {
    const bool pipe = strcmp(path, "-") == 0;
    *in = (struct input){.path = mem_text(pipe ? "<stdin>" : path)};
    in->stream = pipe ? stdin : fopen(path, "rb");
    in->raw = mem_alloc(RAW_SIZE);
    status s = in->stream ? open_form(in) : FAIL(ST_IO, "%s: cannot open: %s", path, strerror(errno));
    if (s != ST_OK) input_release(in);
    return s;
}

/* ---- unpacking: one call of the codec. *used of the raw bytes, *got written; in->inside says whether more of the stream must come ---- */

static status step_gzip(size_t *used, size_t *got, struct input *in, char *out, size_t room) {
    z_stream *z = in->codec;
    if (!in->inside) {
        inflateReset(z);
        in->inside = true;
    }
    z->next_in = (unsigned char *)in->raw + in->raw_at;
    z->avail_in = (unsigned)(in->raw_size - in->raw_at);
    z->next_out = (unsigned char *)out;
    z->avail_out = (unsigned)room;
    int code = inflate(z, Z_NO_FLUSH);
    *used = in->raw_size - in->raw_at - z->avail_in;
    *got = room - z->avail_out;
    if (code == Z_MEM_ERROR) return FAIL(ST_NOMEM, "%s: no memory to unpack gzip", in->path);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        in->raw_at += *used;
        return damaged(in, "gzip", z->msg ? z->msg : "unknown");
    }
    in->inside = code != Z_STREAM_END;
    return ST_OK;
}

static status step_zstd(size_t *used, size_t *got, struct input *in, char *out, size_t room) {
    ZSTD_inBuffer from = {in->raw + in->raw_at, in->raw_size - in->raw_at, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t left = ZSTD_decompressStream(in->codec, &to, &from);
    *used = from.pos;
    *got = to.pos;
    if (ZSTD_isError(left)) {
        in->raw_at += *used;
        return damaged(in, "zstd", ZSTD_getErrorName(left));
    }
    in->inside = left != 0;
    return ST_OK;
}

/* Between the members of a gzip file: tape drives and some tools fill up with zeros. */
static status skip_padding(struct input *in) {
    while (in->raw_at < in->raw_size && in->raw[in->raw_at] == 0) in->raw_at++, in->padded = true;
    if (in->padded && in->raw_at < in->raw_size) return damaged(in, "gzip", "something behind the zeros at its end");
    return ST_OK;
}

static status unpack(size_t *got, struct input *in, char *out, size_t room) {
    const char *what = in->form == INPUT_GZIP ? "gzip" : "zstd";
    for (;;) {
        size_t used;
        if (in->raw_at == in->raw_size) TRY(fill(in));
        if (in->form == INPUT_GZIP && !in->inside) TRY(skip_padding(in));
        const bool dry = in->raw_at == in->raw_size;
        if (dry && !in->raw_end) continue;
        if (dry && !in->inside) return ST_OK;
        TRY((in->form == INPUT_GZIP ? step_gzip : step_zstd)(&used, got, in, out, room));
        in->raw_at += used;
        if (*got) return ST_OK;
        if (dry && in->inside) return damaged(in, what, "the file ends too early");
        if (!used && !dry) return damaged(in, what, "it does not go on");
    }
}

status input_read(size_t *got, struct input *in, char *out, size_t room) {
    *got = 0;
    if (room > (size_t)1 << 30) room = (size_t)1 << 30; /* what zlib's counters hold */
    if (in->form == INPUT_PARQUET) {
        status s = child_read(got, &in->child, out, room);
        return s == ST_OK ? s : status_note(s, "%s: ", in->path);
    }
    if (in->form != INPUT_PLAIN) return unpack(got, in, out, room);
    if (in->raw_at < in->raw_size) { /* what recognising has read */
        *got = in->raw_size - in->raw_at < room ? in->raw_size - in->raw_at : room;
        memcpy(out, in->raw + in->raw_at, *got);
        in->raw_at += *got;
        return ST_OK;
    }
    if (in->raw_end) return ST_OK;
    *got = fread(out, 1, room, in->stream);
    in->raw_before += *got;
    in->raw_end = *got < room;
    return *got < room && ferror(in->stream) ? read_fail(in) : ST_OK;
}

void input_release(struct input *in) {
    if (in->form == INPUT_GZIP && in->codec) {
        inflateEnd(in->codec);
        free(in->codec);
    }
    if (in->form == INPUT_ZSTD) ZSTD_freeDStream(in->codec);
    child_release(&in->child);
    if (in->stream && in->stream != stdin) fclose(in->stream);
    free(in->path);
    free(in->raw);
    *in = (struct input){0};
}
