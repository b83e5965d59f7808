/* SPDX-License-Identifier: MIT */
/* ours.c: what crank-http understands of bytes from a client: for readers.py, which asks other readers too.
 *
 * Standard input is a sequence of messages, each a length of four bytes, little-endian, and so many bytes. For each a
 * line is printed: a JSON list of the requests that a handler was given whole. Texts are hexadecimal. */
#include <crank.h>
#include <crank/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 1 << 20, BODY_MAX = 1 << 20 };

typedef struct message {
    char *bytes;
    size_t size;
    int requests;
} message;

static void print_hex(const char *name, const char *bytes, size_t size)
{
    printf("\"%s\":\"", name);
    for (size_t i = 0; i < size; i++)
        printf("%02x", (unsigned char)bytes[i]);
    putchar('"');
}

static int note(crank_http_request *request, message *m)
{
    crank_http_field fields[100];
    char *body;
    ssize_t size = crank_try(crank_http_read_body(request, BODY_MAX, &body));
    printf("%s{", m->requests++ ? "," : "");
    print_hex("method", request->method, strlen(request->method));
    putchar(',');
    print_hex("target", request->target, strlen(request->target));
    printf(",\"version\":%d,\"fields\":[", request->version);
    size_t count = crank_http_fields(request, fields, CRANK_COUNT(fields));
    for (size_t i = 0; i < count; i++) {
        printf("%s{", i ? "," : "");
        print_hex("name", fields[i].name, strlen(fields[i].name));
        putchar(',');
        print_hex("value", fields[i].value, strlen(fields[i].value));
        putchar('}');
    }
    printf("],");
    print_hex("body", body, (size_t)size);
    putchar('}');
    return crank_http_respond(request, 200, NULL, NULL, 0);
}
static int serve(crank_stream *s, message *m) { return crank_http_serve_stream(NULL, s, note, m); }

/* The answers are of no interest. */
static int drain(crank_stream *s)
{
    char piece[4096];
    while (crank_read(s, piece, sizeof piece) > 0)
        ;
    return 0;
}

static int read_one(message *m)
{
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    crank_task *server = crank_spawn(serve, far, m), *answers = crank_spawn(drain, near);
    m->requests = 0;
    putchar('[');
    int err = crank_write(near, m->bytes, m->size); /* it fails where the server has refused the rest */
    if (err == 0)
        err = crank_write_eof(near);
    crank_try(crank_await(server));
    crank_abort(far);
    crank_try(crank_close(far));
    crank_try(crank_await(answers));
    puts("]");
    return err == -ENOMEM ? err : 0;
}

static int app(message *m)
{
    unsigned char length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        m->size = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
        if (m->size > MESSAGE_MAX || fread(m->bytes, 1, m->size, stdin) != m->size)
            return crank_fail(EPROTO, "a message is cut off, or too long");
        crank_try(read_one(m));
    }
    return 0;
}

int main(void)
{
    message m = { .bytes = malloc(MESSAGE_MAX) };
    bool failed = !m.bytes || crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM), app, &m) < 0;
    free(m.bytes);
    return failed;
}
