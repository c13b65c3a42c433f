/* Event files as tensorboard writes them (tests/oracle/tfevents.py), byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "format/tfrecord.h"

/* RFC 3720, B.4: 32 bytes of zeros, of ones, ascending. */
static void crc_is_that_of_the_rfc(void **state) {
    unsigned char bytes[32] = {0};
    (void)state;
    assert_int_equal(tfrecord_crc(bytes, sizeof bytes), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(tfrecord_crc(bytes, sizeof bytes), 0x62a8ab43u);
    for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(tfrecord_crc(bytes, sizeof bytes), 0x46dd794eu);
}

static void scalar(struct tfrecord_event *e, const char *tag, float value) { tfrecord_put_scalar(e, tag, strlen(tag), value); }

static void events_are_tensorboards(void **state) {
    struct buf ours = {0}, theirs = {0};
    struct tfrecord_event e = {{0}};
    (void)state;
    tfrecord_put_version(&ours, 1700000000.25);
    tfrecord_end_event(&ours, &e, 7, 1.0); /* nothing in it: nothing written */
    scalar(&e, "train/loss", 0.5f);
    tfrecord_end_event(&ours, &e, 0, 1700000000.25);
    scalar(&e, "train/loss", 0.25f);
    scalar(&e, "eval/rewards/margins", -1.5f);
    tfrecord_end_event(&ours, &e, 3, 1700000001.5);
    scalar(&e, "train/größe", 3.4e38f);
    tfrecord_end_event(&ours, &e, 123456789, 1700000300.0);
    assert_int_equal(file_read(&theirs, TEST_SOURCE_DIR "/golden/tfevents/events"), ST_OK);
    assert_int_equal(ours.size, theirs.size);
    assert_memory_equal(ours.data, theirs.data, ours.size);
    tfrecord_release_event(&e);
    buf_release(&ours);
    buf_release(&theirs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_that_of_the_rfc),
        cmocka_unit_test(events_are_tensorboards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
