/* SPDX-License-Identifier: MIT */
/* page.h: the files of the page, which are built into the program: page.c is made of them by tools/embed.py. */
#ifndef PAGE_H
#define PAGE_H
#include <stddef.h>

extern const unsigned char page_html[], style_css[], chat_js[], icon_svg[];
extern const size_t page_html_size, style_css_size, chat_js_size, icon_svg_size;
#endif
