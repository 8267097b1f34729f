/* tlsload.c - TLS connections one after another: connect, handshake, one GET, close. Each worker is
 * a process of its own that blocks.
 *
 *   full    no session is offered            resume  the session before is offered: TLS 1.2 by id,
 *                                                    TLS 1.3 by ticket
 * With two ADDRESSes connections go to them in turn, so that a session is resumed at the server
 * where it did not begin. Each connection is checked to be resumed, or not, as asked. -i COUNT
 * opens so many connections, sends a request on each and holds them until the input ends.
 *
 * Prints: conn_s, p50_us and p99_us (of handshakes), errors, wrong_kind. Exit status 1 with any of
 * the last two. */
#include "util.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define WORKERS_MAX 64
#define USAGE                                                                                      \
    "tlsload [-w WORKERS] [-t SECONDS] [-i IDLE] [-H HOST] 1.2|1.3 full|resume ADDRESS [ADDRESS]"

struct result {
    uint64_t done, errors, wrong;
    struct hist hist;
};

struct load {
    struct target target[2];
    unsigned targets, workers, idle, opened;
    int version;
    bool resume;
    double seconds;
    const char *host;
    SSL_CTX *context;
    SSL_SESSION *kept;
};

static int session_keep(SSL *ssl, SSL_SESSION *session)
{
    struct load *l = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(l->kept);
    l->kept = session;
    return 1;
}

static void context_make(struct load *l)
{
    l->context = SSL_CTX_new(TLS_client_method());
    if (!l->context || !SSL_CTX_set_min_proto_version(l->context, l->version) ||
        !SSL_CTX_set_max_proto_version(l->context, l->version) ||
        !SSL_CTX_set1_groups_list(l->context, "X25519:P-256") ||
        !SSL_CTX_set_cipher_list(l->context, "ECDHE-ECDSA-AES128-GCM-SHA256") ||
        !SSL_CTX_set_ciphersuites(l->context, "TLS_AES_128_GCM_SHA256"))
        die("context");
    SSL_CTX_set_app_data(l->context, l);
    SSL_CTX_set_options(l->context, SSL_OP_IGNORE_UNEXPECTED_EOF |
                                        (l->version == TLS1_2_VERSION ? SSL_OP_NO_TICKET : 0));
    SSL_CTX_set_session_cache_mode(l->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (l->resume)
        SSL_CTX_sess_set_new_cb(l->context, session_keep);
}

/* A request and the whole answer, or its first bytes where the connection is to stay. */
static bool ask(struct load *l, SSL *ssl, bool stays)
{
    char text[512], input[4096];
    size_t got = 0;
    int n = snprintf(text, sizeof text, "GET /some/path?x=1 HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                     l->host, stays ? "" : "Connection: close\r\n");
    if (SSL_write(ssl, text, n) != n)
        return false;
    while ((n = SSL_read(ssl, input, sizeof input)) > 0) {
        got += (size_t)n;
        if (stays)
            return true;
    }
    return got > 0;
}

static bool connect_once(struct load *l, struct result *r)
{
    uint64_t began = now_ns();
    unsigned number = l->opened++;
    int fd = target_connect(&l->target[number % l->targets], number);
    SSL *ssl = SSL_new(l->context);
    bool offered = l->resume && l->kept, answered = false;
    SSL_set_fd(ssl, fd);
    if (offered)
        SSL_set_session(ssl, l->kept);
    if (SSL_connect(ssl) == 1) {
        uint64_t shaken = now_ns();
        bool resumed = SSL_session_reused(ssl);
        answered = ask(l, ssl, false);
        if (answered && r) {
            r->done++;
            r->wrong += resumed != offered;
            hist_add(&r->hist, shaken - began);
        }
    }
    if (!answered)
        ERR_print_errors_fp(stderr);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
    return answered;
}

static void work(struct load *l, struct result *r, uint64_t end)
{
    context_make(l);
    if (!connect_once(l, NULL)) { /* has no session to offer */
        r->errors++;
        return;
    }
    while (now_ns() < end) {
        if (l->resume && !l->kept)
            r->errors++;
        if (!connect_once(l, r))
            r->errors++;
    }
}

static int hold(struct load *l)
{
    context_make(l);
    for (unsigned i = 0; i < l->idle; i++) {
        SSL *ssl = SSL_new(l->context);
        SSL_set_fd(ssl, target_connect(&l->target[0], i));
        if (SSL_connect(ssl) != 1 || !ask(l, ssl, true)) {
            ERR_print_errors_fp(stderr);
            return 1;
        }
    }
    puts("open");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}

static int report(const struct result *results, unsigned workers, double seconds)
{
    static struct result sum;
    for (unsigned w = 0; w < workers; w++) {
        sum.done += results[w].done;
        sum.errors += results[w].errors;
        sum.wrong += results[w].wrong;
        sum.hist.count += results[w].hist.count;
        for (unsigned i = 0; i < HIST_SLOTS; i++)
            sum.hist.slot[i] += results[w].hist.slot[i];
    }
    printf("conn_s %.0f\nerrors %lu\nwrong_kind %lu\n", (double)sum.done / seconds, sum.errors,
           sum.wrong);
    hist_print(&sum.hist);
    return sum.errors || sum.wrong || !sum.done;
}

static int run(struct load *l)
{
    struct result *results = mmap(NULL, sizeof *results * l->workers, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED)
        die("mmap");
    uint64_t began = now_ns(), end = began + (uint64_t)(l->seconds * (double)SECOND_NS);
    for (unsigned w = 0; w < l->workers; w++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid == 0) {
            l->opened = w;
            work(l, &results[w], end);
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        ;
    return report(results, l->workers, (double)(now_ns() - began) / (double)SECOND_NS);
}

int main(int argc, char **argv)
{
    struct load l = {.workers = 8, .seconds = 1, .host = "www.bench.test:8443"};
    int option;
    while ((option = getopt(argc, argv, "w:t:i:H:")) != -1) {
        switch (option) {
        case 'w':
            l.workers = (unsigned)number_parse(optarg, 1, WORKERS_MAX);
            break;
        case 't':
            l.seconds = number_parse(optarg, 0.001, 3600);
            break;
        case 'i':
            l.idle = (unsigned)number_parse(optarg, 1, 1e6);
            break;
        case 'H':
            l.host = optarg;
            break;
        default:
            usage(USAGE);
        }
    }
    argv += optind;
    argc -= optind;
    if (argc < 3 || argc > 4)
        usage(USAGE);
    l.version = strcmp(argv[0], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    l.resume = strcmp(argv[1], "resume") == 0;
    for (int i = 2; i < argc; i++)
        l.target[l.targets++] = target_parse(argv[i]);
    signal(SIGPIPE, SIG_IGN);
    files_max();
    return l.idle ? hold(&l) : run(&l);
}
