/* SPDX-License-Identifier: MIT */
/* chat.c: the scene of the chat server (tests/explore/chat.c) whose members come by lines and in browsers, some of them
 * over TLS: links are cut and connections reset also amid handshakes, and what holds for all members holds for them. */
#define CHAT_WEB
#define CHAT_TLS
#include "../explore/chat.c"

TEST_SEEDS(chat, brings_each_line_to_members_over_tls_in_the_order_of_all, 3) { return play(seed); }
