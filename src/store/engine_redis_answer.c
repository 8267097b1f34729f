/* Answers of a Redis server: hiredis reads them, these objects bound them. Limits are counted as
 * things are announced, so that a list of a thousand million items costs nothing. */
#include "store/engine_redis_answer.h"

#include "base/mem.h"
#include "stead/error.h"

#include <hiredis/hiredis.h>
#include <string.h>

/* From version 1 on its reader knows more types, which want makers of their own. */
_Static_assert(HIREDIS_MAJOR == 0, "hiredis 0.14 is wanted");

struct redis_answers {
    redisReader *reader;
    size_t bytes, items; /* of the answer that is being read */
    bool over;           /* a limit was hit */
};

static struct redis_answer *make(const redisReadTask *task, enum redis_answer_type type)
{
    struct redis_answer *a = mem_alloc(sizeof(*a));
    if (!a)
        return NULL;
    a->type = type;
    if (task->parent) {
        struct redis_answer *list = task->parent->obj;
        list->items[task->idx] = a;
    }
    return a;
}

static void *make_text(const redisReadTask *task, char *text, size_t len)
{
    struct redis_answers *all = task->privdata;
    all->bytes += len;
    if (all->bytes > REDIS_ANSWER_BYTES_MAX) {
        all->over = true;
        return NULL;
    }
    char *copy = mem_alloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    struct redis_answer *a = make(task, task->type == REDIS_REPLY_ERROR    ? REDIS_ERROR
                                        : task->type == REDIS_REPLY_STATUS ? REDIS_STATUS
                                                                           : REDIS_TEXT);
    if (!a) {
        mem_free(copy);
        return NULL;
    }
    a->text = copy;
    a->len = len;
    return a;
}

static void *make_list(const redisReadTask *task, int count)
{
    struct redis_answers *all = task->privdata;
    if (count < 0 || (size_t)count > REDIS_ANSWER_ITEMS_MAX - all->items) {
        all->over = true;
        return NULL;
    }
    all->items += (size_t)count;
    struct redis_answer **items = count > 0 ? mem_alloc((size_t)count * sizeof(*items)) : NULL;
    if (count > 0 && !items)
        return NULL;
    struct redis_answer *a = make(task, REDIS_LIST);
    if (!a) {
        mem_free(items);
        return NULL;
    }
    a->items = items;
    a->count = (size_t)count;
    return a;
}

static void *make_number(const redisReadTask *task, long long number)
{
    struct redis_answer *a = make(task, REDIS_NUMBER);
    if (a)
        a->number = number;
    return a;
}

static void *make_nil(const redisReadTask *task)
{
    return make(task, REDIS_NIL);
}

static void free_any(void *answer)
{
    redis_answer_free(answer);
}

static redisReplyObjectFunctions makers = {make_text, make_list, make_number, make_nil, free_any};

struct redis_answers *redis_answers_new(void)
{
    struct redis_answers *a = mem_alloc(sizeof(*a));
    if (!a)
        return NULL;
    a->reader = redisReaderCreateWithFunctions(&makers);
    if (!a->reader) {
        mem_free(a);
        return NULL;
    }
    a->reader->privdata = a;
    return a;
}

void redis_answers_free(struct redis_answers *a)
{
    if (!a)
        return;
    redisReaderFree(a->reader);
    mem_free(a);
}

int redis_answers_feed(struct redis_answers *a, const void *bytes, size_t len)
{
    size_t held = a->reader->len - a->reader->pos;
    if (len > REDIS_ANSWER_BYTES_MAX || held > REDIS_ANSWER_BYTES_MAX)
        return STEAD_E_TOO_LARGE;
    return redisReaderFeed(a->reader, bytes, len) == REDIS_OK ? STEAD_OK : STEAD_E_NOMEM;
}

int redis_answers_next(struct redis_answers *a, struct redis_answer **out)
{
    void *answer = NULL;
    *out = NULL;
    if (redisReaderGetReply(a->reader, &answer) != REDIS_OK) {
        if (a->over)
            return STEAD_E_TOO_LARGE;
        return a->reader->err == REDIS_ERR_OOM ? STEAD_E_NOMEM : STEAD_E_PARSE;
    }
    if (!answer)
        return STEAD_PENDING;
    a->bytes = a->items = 0;
    *out = answer;
    return STEAD_OK;
}

/* Lists are at most as deep as the reader's stack. */
void redis_answer_free(struct redis_answer *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++)
        redis_answer_free(a->items[i]);
    mem_free(a->items);
    mem_free(a->text);
    mem_free(a);
}

bool redis_answer_is(const struct redis_answer *a, enum redis_answer_type type, const char *text)
{
    return a->type == type && a->len == strlen(text) && memcmp(a->text, text, a->len) == 0;
}

bool redis_answer_begins(const struct redis_answer *a, const char *word)
{
    size_t len = strlen(word);
    return a->text && a->len >= len && memcmp(a->text, word, len) == 0 &&
           (a->len == len || a->text[len] == ' ');
}
