/* replay.c - runs a fuzz target over the files of a corpus, and over mutations of each from a fixed
 * seed, so that the fuzz targets are ordinary tests. Same corpus, same inputs, every time.
 *
 *     fuzz_NAME CORPUS-DIRECTORY [MUTATIONS]
 *     fuzz_NAME FILE...               runs just these files
 *
 * When an input brings the target down, it is written to fuzz_NAME.crash in the working directory.
 */
#include "base/rng.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 1000
#define FILE_BYTES_MAX (1 << 20)
#define GROWTH_MAX 4096
#define MUTATIONS_DEFAULT 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    char *name;
    uint8_t *bytes;
    size_t len;
};

/* Only for the handler of a crash. */
static const uint8_t *current_bytes;
static size_t current_len;
static char crash_path[256];

static void on_crash(int signal_number)
{
    (void)signal_number;
    static const char text[] = "the input was written to the .crash file\n";
    int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && write(fd, current_bytes, current_len) >= 0 &&
        write(STDERR_FILENO, text, sizeof text - 1) >= 0)
        close(fd);
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* The sanitizers end the process by abort(), so that the handler above sees it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1:handle_abort=0";
}
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "abort_on_error=1:print_stacktrace=1";
}

/* An exact copy, so that a byte read beyond the end is seen. */
static void run(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        exit(2);
    memcpy(copy, bytes, len);
    current_bytes = copy;
    current_len = len;
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static struct input load(const char *path)
{
    struct input in = {.name = strdup(path), .bytes = malloc(FILE_BYTES_MAX)};
    FILE *f = fopen(path, "rb");
    if (!f || !in.name || !in.bytes) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    in.len = fread(in.bytes, 1, FILE_BYTES_MAX, f);
    fclose(f);
    return in;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct input *)a)->name, ((const struct input *)b)->name);
}

static size_t load_directory(const char *directory, struct input *inputs)
{
    size_t count = 0;
    DIR *d = opendir(directory);
    if (!d)
        return 0;
    for (struct dirent *e; count < FILES_MAX && (e = readdir(d));) {
        char path[1024];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        inputs[count++] = load(path);
    }
    closedir(d);
    qsort(inputs, count, sizeof *inputs, by_name);
    return count;
}

struct draft {
    size_t len, cap;
    uint8_t *bytes;
};

static void insert(struct draft *d, size_t at, const void *bytes, size_t len)
{
    if (len > d->cap - d->len)
        return;
    memmove(d->bytes + at + len, d->bytes + at, d->len - at);
    memmove(d->bytes + at, bytes, len);
    d->len += len;
}

static void delete(struct draft *d, size_t at, size_t len)
{
    if (len > d->len - at)
        len = d->len - at;
    memmove(d->bytes + at, d->bytes + at + len, d->len - at - len);
    d->len -= len;
}

static void mutate_once(struct draft *d, const struct input *other, struct rng *r)
{
    static const char *const words[] = {"\r\n",
                                        "\n",
                                        "\r",
                                        " ",
                                        "\t",
                                        ":",
                                        ",",
                                        ";",
                                        "0",
                                        "-1",
                                        "99999999999999999999",
                                        "chunked",
                                        "\"",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        "\\",
                                        "/",
                                        "//",
                                        "?",
                                        "#",
                                        "%",
                                        "@",
                                        "\xc0\x0c",
                                        "\xff\xff\xff\xff"};
    uint8_t copy[256];
    size_t at = (size_t)rng_below(r, d->len + 1), n = (size_t)rng_below(r, 32) + 1;
    switch (rng_below(r, 8)) {
    case 0:
        if (at < d->len)
            d->bytes[at] ^= (uint8_t)(1u << rng_below(r, 8));
        break;
    case 1:
        if (at < d->len)
            d->bytes[at] = (uint8_t)rng_u64(r);
        break;
    case 2:
        if (at < d->len)
            d->bytes[at] = (uint8_t)(d->bytes[at] + rng_below(r, 5) - 2);
        break;
    case 3:
        delete(d, at, n);
        break;
    case 4: {
        const char *word = words[rng_below(r, sizeof words / sizeof words[0])];
        insert(d, at, word, strlen(word));
        break;
    }
    case 5: /* a piece again, elsewhere */
        n = n < d->len - at ? n : d->len - at;
        memcpy(copy, d->bytes + at, n);
        insert(d, (size_t)rng_below(r, d->len + 1), copy, n);
        break;
    case 6: /* a piece of another input */
        if (other->len) {
            size_t from = (size_t)rng_below(r, other->len);
            n = n < other->len - from ? n : other->len - from;
            insert(d, at, other->bytes + from, n);
        }
        break;
    default:
        if (rng_below(r, 4) == 0)
            d->len = at;
        break;
    }
}

static void run_mutations(const struct input *inputs, size_t count, size_t which, long mutations)
{
    struct rng r;
    struct draft d = {.cap = inputs[which].len + GROWTH_MAX};
    d.bytes = malloc(d.cap);
    if (!d.bytes)
        exit(2);
    rng_init(&r, which + 1);
    for (long i = 0; i < mutations; i++) {
        memcpy(d.bytes, inputs[which].bytes, inputs[which].len);
        d.len = inputs[which].len;
        for (uint64_t n = rng_below(&r, 6) + 1; n; n--)
            mutate_once(&d, &inputs[rng_below(&r, count)], &r);
        run(d.bytes, d.len);
    }
    free(d.bytes);
}

int main(int argc, char **argv)
{
    static struct input inputs[FILES_MAX];
    struct stat st;
    if (argc < 2 || stat(argv[1], &st) != 0) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY [MUTATIONS] | FILE...\n", argv[0]);
        return 2;
    }
    const char *base = strrchr(argv[0], '/');
    snprintf(crash_path, sizeof crash_path, "%s.crash", base ? base + 1 : argv[0]);
    signal(SIGABRT, on_crash);
    size_t count = 0;
    long mutations = argc > 2 ? strtol(argv[2], NULL, 10) : MUTATIONS_DEFAULT;
    if (S_ISDIR(st.st_mode)) {
        count = load_directory(argv[1], inputs);
    } else {
        mutations = 0;
        for (int i = 1; i < argc && count < FILES_MAX; i++)
            inputs[count++] = load(argv[i]);
    }
    for (size_t i = 0; i < count; i++) {
        run(inputs[i].bytes, inputs[i].len);
        run_mutations(inputs, count, i, mutations);
    }
    printf("%zu files, %ld mutations of each\n", count, mutations);
    for (size_t i = 0; i < count; i++) {
        free(inputs[i].name);
        free(inputs[i].bytes);
    }
    return count ? 0 : 1; /* a test over nothing tests nothing */
}
