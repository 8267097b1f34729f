/* slab.c - pages, their numbers, and the stacks of cells over them. */
#include "core/session/slab.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

/* With the allocator's own share a page is a power of 2. */
#define PAGE_BYTES ((1u << SLAB_PAGE_SHIFT) - 16u)
#define PAGES_MAX (SLAB_REF_MAX / SLAB_PAGE_GRAINS)
/* Sizes go in steps of 8 bytes, from 512 on of 16, from 1024 on of 64. */
#define FINE_MAX 512u
#define MIDDLE_MAX 1024u
#define MIDDLE_STEP 16u
#define COARSE_STEP 64u
#define FINE_SIZES (FINE_MAX / SLAB_GRAIN)
#define MIDDLE_SIZES (FINE_SIZES + (MIDDLE_MAX - FINE_MAX) / MIDDLE_STEP)

_Static_assert(MIDDLE_SIZES + (SLAB_CELL_MAX - MIDDLE_MAX) / COARSE_STEP + 1 == SLAB_SIZES, "");
_Static_assert(PAGES_MAX <= SLAB_LEAF * SLAB_LEAVES, "each page has a place in the directory");

static unsigned size_of(size_t bytes)
{
    assert(bytes > 0 && bytes <= SLAB_CELL_MAX);
    if (bytes <= FINE_MAX)
        return (unsigned)(bytes + SLAB_GRAIN - 1) / SLAB_GRAIN;
    if (bytes <= MIDDLE_MAX)
        return FINE_SIZES + (unsigned)(bytes - FINE_MAX + MIDDLE_STEP - 1) / MIDDLE_STEP;
    return MIDDLE_SIZES + (unsigned)(bytes - MIDDLE_MAX + COARSE_STEP - 1) / COARSE_STEP;
}

static uint32_t bytes_of(unsigned size)
{
    if (size <= FINE_SIZES)
        return size * SLAB_GRAIN;
    if (size <= MIDDLE_SIZES)
        return FINE_MAX + (size - FINE_SIZES) * MIDDLE_STEP;
    return MIDDLE_MAX + (size - MIDDLE_SIZES) * COARSE_STEP;
}

static uint32_t cells_of(unsigned size)
{
    return (PAGE_BYTES - (uint32_t)sizeof(struct slab_page)) / bytes_of(size);
}

size_t slab_cell_bytes(size_t bytes)
{
    return bytes_of(size_of(bytes));
}

static struct slab_page *page_at(const struct slab *s, uint32_t number)
{
    return s->leaves[number / SLAB_LEAF]->pages[number % SLAB_LEAF];
}

static uint32_t ref_of(uint32_t page, unsigned size, uint32_t cell)
{
    size_t offset = sizeof(struct slab_page) + (size_t)cell * bytes_of(size);
    return page * SLAB_PAGE_GRAINS + (uint32_t)(offset / SLAB_GRAIN);
}

/* A number for a page, with its place in the directory. False without memory. */
static bool take_number(struct slab *s, uint32_t *number)
{
    if (s->free_first) {
        *number = s->free_first - 1;
        s->free_first = s->leaves[*number / SLAB_LEAF]->free_next[*number % SLAB_LEAF];
        return true;
    }
    if (s->page_end == PAGES_MAX)
        return false;
    struct slab_leaf **leaf = &s->leaves[s->page_end / SLAB_LEAF];
    if (!*leaf && !(*leaf = mem_alloc(sizeof **leaf)))
        return false;
    *number = s->page_end++;
    return true;
}

static void give_number(struct slab *s, uint32_t number)
{
    struct slab_leaf *leaf = s->leaves[number / SLAB_LEAF];
    leaf->pages[number % SLAB_LEAF] = NULL;
    leaf->free_next[number % SLAB_LEAF] = s->free_first;
    s->free_first = number + 1;
}

static bool push_page(struct slab *s, unsigned size)
{
    uint32_t number;
    struct slab_page *page = mem_realloc(NULL, PAGE_BYTES);
    if (!page)
        return false;
    if (!take_number(s, &number)) {
        mem_free(page);
        return false;
    }
    struct slab_stack *stack = &s->stacks[size];
    *page = (struct slab_page){
        .before = stack->page, .bottom = stack->used == 0, .size = (uint16_t)size};
    s->leaves[number / SLAB_LEAF]->pages[number % SLAB_LEAF] = page;
    stack->page = number;
    stack->used = 0;
    s->page_count++;
    return true;
}

static void pop_page(struct slab *s, unsigned size)
{
    struct slab_stack *stack = &s->stacks[size];
    uint32_t number = stack->page;
    struct slab_page *page = page_at(s, number);
    stack->page = page->before;
    stack->used = page->bottom ? 0 : cells_of(size);
    mem_free(page);
    give_number(s, number);
    s->page_count--;
}

uint32_t slab_new(struct slab *s, size_t bytes)
{
    unsigned size = size_of(bytes);
    struct slab_stack *stack = &s->stacks[size];
    if ((stack->used == 0 || stack->used == cells_of(size)) && !push_page(s, size))
        return 0;
    return ref_of(stack->page, size, stack->used++);
}

uint32_t slab_free(struct slab *s, uint32_t ref)
{
    unsigned size = page_at(s, ref / SLAB_PAGE_GRAINS)->size;
    struct slab_stack *stack = &s->stacks[size];
    uint32_t last = ref_of(stack->page, size, stack->used - 1);
    if (last != ref)
        memcpy(slab_at(s, ref), slab_at(s, last), bytes_of(size));
    if (--stack->used == 0)
        pop_page(s, size);
    return last != ref ? last : 0;
}

size_t slab_bytes(const struct slab *s, uint32_t ref)
{
    return bytes_of(page_at(s, ref / SLAB_PAGE_GRAINS)->size);
}

uint64_t slab_memory(const struct slab *s)
{
    return (uint64_t)s->page_count << SLAB_PAGE_SHIFT;
}

void slab_deinit(struct slab *s)
{
    for (unsigned size = 0; size < SLAB_SIZES; size++)
        while (s->stacks[size].used > 0)
            pop_page(s, size);
    for (unsigned i = 0; i < SLAB_LEAVES; i++)
        mem_free(s->leaves[i]);
    *s = (struct slab){0};
}
