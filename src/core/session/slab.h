/* slab.h - memory for many small cells, each with a number of 32 bits, without gaps.
 *
 * A page holds cells of one size; the cells of a size are a stack over its pages. Who frees one
 * from the middle gets the last one moved into its place and is told, so that what refers to it by
 * its number can be mended: memory in use is that of the cells, and at most one page a size more.
 * Nothing is zeroed. Cells begin at multiples of 8 bytes.
 */
#ifndef CORE_SESSION_SLAB_H
#define CORE_SESSION_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_CELL_MAX 4096u
#define SLAB_SIZES 145
#define SLAB_GRAIN 8u
#define SLAB_PAGE_SHIFT 14
#define SLAB_PAGE_GRAINS ((1u << SLAB_PAGE_SHIFT) / SLAB_GRAIN)
#define SLAB_REF_MAX 0xfffeffffu /* no cell has a greater number, and none has 0 */
#define SLAB_LEAF 1024u          /* pages a leaf of the directory */
#define SLAB_LEAVES 2048u

struct slab_page;

struct slab_leaf {
    struct slab_page *pages[SLAB_LEAF];
    uint32_t free_next[SLAB_LEAF]; /* of numbers without a page, as free_first */
};

/* The cells of one size: a stack. */
struct slab_stack {
    uint32_t page; /* number of the last page */
    uint32_t used; /* cells in it; 0: there is no page */
};

struct slab {
    uint32_t page_count, page_end; /* in use; numbers given so far */
    uint32_t free_first;           /* a number to use again, and 1; 0: there is none */
    struct slab_stack stacks[SLAB_SIZES];
    struct slab_leaf *leaves[SLAB_LEAVES];
};

/* Zeroed memory is an empty slab. Frees all pages: */
void slab_deinit(struct slab *s);
/* The size of the cells that hold so many bytes, SLAB_CELL_MAX at most. */
size_t slab_cell_bytes(size_t bytes);
/* A cell's number, 0 without memory. */
uint32_t slab_new(struct slab *s, size_t bytes);
/* Returns the former number of the cell that has been moved into the place of `ref`; 0: none. */
uint32_t slab_free(struct slab *s, uint32_t ref);
/* The size of a cell. */
size_t slab_bytes(const struct slab *s, uint32_t ref);
uint64_t slab_memory(const struct slab *s); /* in pages, whole ones */

struct slab_page {
    uint32_t before; /* the page below in its stack, a number; 0 may be one, then `bottom` */
    uint16_t bottom; /* 1: there is none */
    uint16_t size;   /* of its cells: an index */
    uint64_t cells[];
};

static inline void *slab_at(const struct slab *s, uint32_t ref)
{
    uint32_t page = ref / SLAB_PAGE_GRAINS;
    uint8_t *p = (uint8_t *)s->leaves[page / SLAB_LEAF]->pages[page % SLAB_LEAF];
    return p + (size_t)(ref % SLAB_PAGE_GRAINS) * SLAB_GRAIN;
}

#endif
