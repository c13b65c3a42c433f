/* proto: the wire format of protocol buffers, read field by field, every length checked (protobuf.dev/programming-guides/encoding). */
#ifndef RAPT_FORMAT_PROTO_H
#define RAPT_FORMAT_PROTO_H

#include "base/status.h"

struct proto {
    const char *start, *at, *end; /* start: what messages count bytes from */
};
enum proto_wire { PROTO_VARINT = 0, PROTO_64 = 1, PROTO_BYTES = 2, PROTO_32 = 5 };
struct proto_field {
    uint32_t number;
    enum proto_wire wire;
    uint64_t value;   /* varint, or the 32 or 64 bits */
    struct proto sub; /* PROTO_BYTES: the contents, as bytes or as a message */
};

struct proto proto_begin(const char *data, size_t size);
/* False in *more at the end of the message. ST_FORMAT names the byte. Groups are refused. */
status proto_next(struct proto *p, struct proto_field *field, bool *more);
/* The field's 32 bits as a float. */
float proto_float(const struct proto_field *field);

#endif
