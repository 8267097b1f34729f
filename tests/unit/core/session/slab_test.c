/* slab_test.c - cells against a plain array: what is in them stays, wherever they are moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/session/slab.h"

#include <string.h>

#define CELLS 4000

struct model {
    struct slab slab;
    uint32_t ref[CELLS];
    size_t bytes[CELLS];
    unsigned count;
    uint64_t marks;
    uint64_t mark[CELLS]; /* what is in the cell, at both ends */
};

static void write_mark(struct model *m, unsigned i)
{
    uint8_t *cell = slab_at(&m->slab, m->ref[i]);
    memcpy(cell + m->bytes[i] - sizeof m->mark[i], &m->mark[i], sizeof m->mark[i]);
    memcpy(cell, &m->mark[i], sizeof m->mark[i]);
}

static void check_mark(struct model *m, unsigned i)
{
    const uint8_t *cell = slab_at(&m->slab, m->ref[i]);
    assert_memory_equal(cell, &m->mark[i], sizeof m->mark[i]);
    assert_memory_equal(cell + m->bytes[i] - sizeof m->mark[i], &m->mark[i], sizeof m->mark[i]);
    assert_int_equal(slab_bytes(&m->slab, m->ref[i]), slab_cell_bytes(m->bytes[i]));
}

static void add(struct model *m, size_t bytes)
{
    unsigned i = m->count++;
    m->bytes[i] = bytes;
    m->ref[i] = slab_new(&m->slab, bytes);
    assert_in_range(m->ref[i], 1, SLAB_REF_MAX);
    m->mark[i] = ++m->marks;
    write_mark(m, i);
}

static void drop(struct model *m, unsigned i)
{
    uint32_t ref = m->ref[i], moved = slab_free(&m->slab, ref);
    unsigned last = --m->count;
    m->ref[i] = m->ref[last];
    m->bytes[i] = m->bytes[last];
    m->mark[i] = m->mark[last];
    for (unsigned j = 0; j < m->count && moved; j++) {
        if (m->ref[j] == moved) {
            m->ref[j] = ref;
            return;
        }
    }
    assert_int_equal(moved, 0);
}

static void sizes_fit_closely(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= SLAB_CELL_MAX; bytes++) {
        size_t cell = slab_cell_bytes(bytes);
        assert_in_range(cell, bytes, bytes + (bytes <= 512 ? 7 : bytes / 16));
        assert_int_equal(slab_cell_bytes(cell), cell);
        assert_int_equal(cell % SLAB_GRAIN, 0);
    }
}

static void cells_keep_what_is_in_them(void **state)
{
    (void)state;
    static struct model m;
    struct rng rng;
    rng_init(&rng, 1);
    m = (struct model){0};
    for (unsigned phase = 0; phase < 6; phase++) {
        bool grows = phase % 2 == 0;
        for (unsigned i = 0; i < 6000; i++) {
            bool large = rng_below(&rng, 8) == 0;
            if (rng_below(&rng, 10) < (grows ? 9 : 1) && m.count < CELLS)
                add(&m, 16 + (size_t)rng_below(&rng, large ? SLAB_CELL_MAX - 15 : 400));
            else if (m.count > 0)
                drop(&m, (unsigned)rng_below(&rng, m.count));
        }
        uint64_t bytes = 0;
        for (unsigned i = 0; i < m.count; i++) {
            check_mark(&m, i);
            bytes += slab_cell_bytes(m.bytes[i]);
        }
        /* Without gaps: a page is full, or the last of its size; what is left at its end is less
         * than a cell. */
        assert_in_range(slab_memory(&m.slab), bytes, 4 * bytes / 3 + SLAB_SIZES * 16384);
    }
    while (m.count > 0)
        drop(&m, m.count / 2);
    assert_int_equal(slab_memory(&m.slab), 0);
    slab_deinit(&m.slab);
}

static void numbers_of_pages_are_used_again(void **state)
{
    (void)state;
    static struct slab s;
    for (unsigned round = 0; round < 50; round++) {
        uint32_t ref[200];
        for (unsigned i = 0; i < 200; i++)
            assert_in_range(ref[i] = slab_new(&s, SLAB_CELL_MAX), 1, 200 * 2048);
        for (unsigned i = 200; i-- > 0;)
            assert_int_equal(slab_free(&s, ref[i]), 0);
    }
    assert_int_equal(slab_memory(&s), 0);
    slab_deinit(&s);
}

static void without_memory_nothing_is_given(void **state)
{
    (void)state;
    static struct slab s;
    for (unsigned n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(slab_new(&s, 100), 0);
        assert_int_equal(slab_memory(&s), 0);
    }
    mem_fail_after(0);
    assert_int_not_equal(slab_new(&s, 100), 0);
    slab_deinit(&s);
    assert_int_equal(slab_memory(&s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_fit_closely),
        cmocka_unit_test(cells_keep_what_is_in_them),
        cmocka_unit_test(numbers_of_pages_are_used_again),
        cmocka_unit_test(without_memory_nothing_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
