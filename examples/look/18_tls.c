/* The same straight line, encrypted: a stream over a stream. */
#include <crank.h>
#include <crank/tls.h>
#include <stdio.h>

static int secure_echo(crank_stream *peer)
{
    char line[100];

    while (crank_try(crank_read_line(peer, line, sizeof line)) > 0)
        crank_try(crank_printf(peer, "%s", line));
    return 0;
}

static int ask(const char *address, crank_tls *trust)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_tls_connect(trust, address)); /* certificate and name checked */
    char line[100];

    printf("%s\n", crank_tls_describe(s)); /* TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost */
    crank_try(crank_printf(s, "in secret\n"));
    crank_try(crank_read_line(s, line, sizeof line));
    printf("%s", line);
    return 0;
}

static int serve(crank_listener *listener, crank_tls *identity)
{
    return crank_tls_serve(identity, listener, secure_echo);
}

static int app(void)
{
    CRANK_AUTO_TLS crank_tls *identity = crank_try(crank_tls_server("localhost.pem", "localhost.key"));
    CRANK_AUTO_TLS crank_tls *trust = crank_try(crank_tls_client("ca.pem")); /* NULL: the system's */
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:8443"));

    CRANK_GROUP(servers);
    crank_group_spawn(&servers, serve, listener, identity);
    return ask("localhost:8443", trust);
}

int main(void) { return crank_run(app); }
