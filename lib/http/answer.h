/* SPDX-License-Identifier: MIT */
/* answer.h: the answer to a request. */
#ifndef CR_HTTP_ANSWER_H
#define CR_HTTP_ANSWER_H
#include "http/exchange.h"

/* Begin an answer of which the body follows in pieces: writes its head. 0; fails as
 * crank_http_respond. */
int cr_http_answer_begin(
    cr_http_message *message, int status, const char *type, cr_http_answer_state state);
/* A piece of a begun answer. Fails as crank_write; -EMSGSIZE: more than was announced. */
int cr_http_answer_write(cr_http_message *message, const void *bytes, size_t size);
/* All that is left of a begun answer with a length, from a file. Fails as crank_write, and as
 * crank_read of the file; -ENODATA: that ended before. */
int cr_http_answer_copy(cr_http_message *message, crank_stream *file);
/* -ENODATA: that, said in a sentence. */
int cr_http_answer_shorter(const cr_http_message *message);
/* The same as cr_http_answer_write without a wait, whatever is unsent: the stream takes all, or is
 * broken. Not while a call is in the middle of a piece. Fails as crank_write_now. */
int cr_http_answer_put(cr_http_message *message, const void *bytes, size_t size);
/* The end of a begun answer. Fails as crank_write; -ENODATA: less than was announced; -EMSGSIZE:
 * more. */
int cr_http_answer_end(cr_http_message *message);
/* Answer 101 with these fields, "Name: value\r\n" each, and those that the handler has set: the
 * connection is a WebSocket's from then on. Fails as crank_http_respond. */
int cr_http_answer_switch(cr_http_message *message, const char *fields);
/* An answer of the server's own, with the status' name for its body: 404, 408 and so on. */
int cr_http_answer_refuse(cr_http_message *message, int status);
/* "Not Found" */
const char *cr_http_answer_reason(int status);
#endif
