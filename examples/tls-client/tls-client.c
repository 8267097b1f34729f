/* Visits a farm by https, COUNT times, each time another server of it perhaps:
 *
 *     tls-client URL CA-FILE COUNT [DNS]
 *
 * and says who answered, and whether the TLS session of an earlier visit did again. */
#include <stead/tls.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int visit(struct stead_tls_client *client, const char *url,
                 const struct stead_options *options)
{
    static const char request[] = "GET / HTTP/1.0\r\nHost: farm\r\n\r\n";
    struct stead_choice *choice;
    char answer[4096];
    size_t n, all = 0;
    SSL *ssl;
    int err = stead_tls_connect(client, url, options, &ssl, &choice);
    if (err)
        return err;
    int resumed = SSL_session_reused(ssl);
    SSL_write(ssl, request, sizeof request - 1);
    while (SSL_read_ex(ssl, answer, sizeof answer, &n)) /* the client's next tickets come here */
        all += n;
    printf("%s %s %s %s\n", stead_choice_server(choice), SSL_get_version(ssl),
           resumed ? "resumed" : "full", all ? "answered" : "silent");
    SSL_shutdown(ssl);
    SSL_free(ssl);
    stead_choice_free(choice);
    return STEAD_OK;
}

int main(int argc, char **argv)
{
    struct stead_tls_client_options trust = {.size = sizeof trust};
    struct stead_tls_client *client;
    struct stead_options options;
    if (argc < 4)
        return 2;
    trust.ca_file = argv[2];
    stead_options_init(&options, sizeof options);
    options.policy = "random";
    options.dns = argc > 4 ? argv[4] : NULL;
    int err = stead_tls_client_new(&trust, &client);
    for (long i = strtol(argv[3], NULL, 10); i > 0 && !err; i--)
        err = visit(client, argv[1], &options);
    if (err)
        fprintf(stderr, "%s: %s\n", stead_error_name(err), stead_error_text(err));
    stead_tls_client_free(client);
    return err ? 1 : 0;
}
