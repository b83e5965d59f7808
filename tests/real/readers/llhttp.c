/* SPDX-License-Identifier: MIT */
/* llhttp.c: what llhttp understands of bytes from a client, as ours.c prints it.
 *
 * Compiled by readers.py with the sources of Debian's package node-llhttp and LLHTTP_STRICT_MODE. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llhttp.h"

enum { MESSAGE_MAX = 1 << 20, FIELDS_MAX = 200 };

typedef struct text {
    char *bytes;
    size_t size;
} text;

static struct {
    text target, body, names[FIELDS_MAX], values[FIELDS_MAX];
    size_t fields;
    int in_value, in_trailer, requests;
} now;

static int add(text *to, const char *at, size_t size)
{
    char *bytes = realloc(to->bytes, to->size + size + 1);
    if (!bytes)
        return -1;
    memcpy(bytes + to->size, at, size);
    to->bytes = bytes;
    to->size += size;
    return 0;
}

static int begin(llhttp_t *parser)
{
    (void)parser;
    for (size_t i = 0; i < FIELDS_MAX; i++)
        now.names[i].size = now.values[i].size = 0;
    now.target.size = now.body.size = now.fields = 0;
    now.in_value = now.in_trailer = 0;
    return 0;
}
static int note_target(llhttp_t *parser, const char *at, size_t size)
{
    (void)parser;
    return add(&now.target, at, size);
}
static int note_name(llhttp_t *parser, const char *at, size_t size)
{
    (void)parser;
    if (now.in_trailer || now.fields == FIELDS_MAX)
        return now.in_trailer ? 0 : -1;
    if (now.in_value) {
        now.fields++;
        now.in_value = 0;
    }
    return now.fields == FIELDS_MAX ? -1 : add(&now.names[now.fields], at, size);
}
static int note_value(llhttp_t *parser, const char *at, size_t size)
{
    (void)parser;
    if (now.in_trailer)
        return 0;
    now.in_value = 1;
    return add(&now.values[now.fields], at, size);
}
static int end_head(llhttp_t *parser)
{
    (void)parser;
    now.fields += (size_t)now.in_value;
    now.in_trailer = 1;
    return 0;
}
static int note_body(llhttp_t *parser, const char *at, size_t size)
{
    (void)parser;
    return add(&now.body, at, size);
}

static void print_hex(const char *name, const char *bytes, size_t size)
{
    printf("\"%s\":\"", name);
    for (size_t i = 0; i < size; i++)
        printf("%02x", (unsigned char)bytes[i]);
    putchar('"');
}
static int end(llhttp_t *parser)
{
    const char *method = llhttp_method_name((llhttp_method_t)parser->method);
    printf("%s{", now.requests++ ? "," : "");
    print_hex("method", method, strlen(method));
    putchar(',');
    print_hex("target", now.target.bytes, now.target.size);
    printf(",\"version\":%d,\"fields\":[", parser->http_major * 10 + parser->http_minor);
    for (size_t i = 0; i < now.fields; i++) {
        printf("%s{", i ? "," : "");
        print_hex("name", now.names[i].bytes, now.names[i].size);
        putchar(',');
        print_hex("value", now.values[i].bytes, now.values[i].size);
        putchar('}');
    }
    printf("],");
    print_hex("body", now.body.bytes, now.body.size);
    putchar('}');
    /* A client that wants to close sends nothing more. */
    return llhttp_should_keep_alive(parser) ? 0 : HPE_PAUSED;
}

static void read_one(const char *bytes, size_t size)
{
    llhttp_settings_t settings;
    llhttp_t parser;
    llhttp_settings_init(&settings);
    settings.on_message_begin = begin;
    settings.on_url = note_target;
    settings.on_header_field = note_name;
    settings.on_header_value = note_value;
    settings.on_headers_complete = end_head;
    settings.on_body = note_body;
    settings.on_message_complete = end;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    now.requests = 0;
    putchar('[');
    /* To a server that does not switch protocols a request to do so is like any other. */
    const char *at = bytes;
    while (llhttp_execute(&parser, at, (size_t)(bytes + size - at)) == HPE_PAUSED_UPGRADE) {
        at = llhttp_get_error_pos(&parser);
        llhttp_resume_after_upgrade(&parser);
    }
    puts("]");
}

int main(void)
{
    static char bytes[MESSAGE_MAX];
    unsigned char length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        size_t size = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
        if (size > MESSAGE_MAX || fread(bytes, 1, size, stdin) != size)
            return 1;
        read_one(bytes, size);
    }
    return 0;
}
