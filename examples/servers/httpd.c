/* SPDX-License-Identifier: MIT */
/* httpd: serves the files of a folder to browsers.
 *
 * httpd [DIR] [ADDR] [--list] [--cert F --key F]: crank_http_file does the work: types, versions, ranges, packed files.
 * With --list a folder without an index.html is shown as a list of what is in it; with --cert it is served by https. A
 * line for each request goes to standard output. SIGTERM or Ctrl-C ends the server: downloads that are under way have
 * ten seconds. SIGHUP has a renewed certificate read. */
#define _GNU_SOURCE /* getopt_long, scandir, versionsort */
#include <crank.h>
#include <crank/http.h>
#include <crank/tls.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE 10.0 /* seconds that requests under way have when the server is to end */

typedef struct site {
    const char *folder; /* without links in it */
    bool lists;
    const char *certificate, *key; /* of https; NULL: http */
} site;

/* ---- Lists ---- */

/* As crank_http_file has it: no dot files, no links, nothing but files and folders. */
static int is_shown(const struct dirent *entry)
{
    bool may_be_file = entry->d_type == DT_REG || entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
    return may_be_file && entry->d_name[0] != '.';
}

static void print_entry(FILE *page, const struct dirent *entry)
{
    const char *slash = entry->d_type == DT_DIR ? "/" : "";
    char link[3 * NAME_MAX + 1], text[6 * NAME_MAX + 1];
    crank_http_encode(link, sizeof link, entry->d_name);
    crank_http_escape(text, sizeof text, entry->d_name);
    fprintf(page, "<li><a href=\"%s%s\">%s%s</a></li>\n", link, slash, text, slash);
}

/* The page of a folder, to be freed. *ret_page stays NULL where it has one of its own, or there is no such folder. It
 * reads the disk, so it is called on a thread. */
static int make_list(const site *s, const char *path, char **ret_page)
{
    char name[PATH_MAX], real[PATH_MAX], title[PATH_MAX];
    size_t size;
    struct dirent **entries;
    if (snprintf(name, sizeof name, "%s%sindex.html", s->folder, path) >= PATH_MAX || access(name, F_OK) == 0)
        return 0;
    name[strlen(name) - strlen("/index.html")] = '\0';
    /* A link on the way, or dots, would make another name. */
    if (strstr(path, "/.") || !realpath(name, real) || strcmp(name, real) != 0)
        return 0;
    int count = scandir(name, &entries, is_shown, versionsort);
    FILE *page = count < 0 ? NULL : open_memstream(ret_page, &size);
    if (page) {
        crank_http_escape(title, sizeof title, path);
        fprintf(
            page, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<h1>%s</h1>\n<ul>\n", title, title);
        if (strcmp(path, "/") != 0)
            fputs("<li><a href=\"../\">../</a></li>\n", page);
        for (int i = 0; i < count; i++)
            print_entry(page, entries[i]);
        fputs("</ul>\n", page);
        fclose(page);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    return 0;
}

/* ---- Requests ---- */

static int handle(crank_http_request *request, const site *s)
{
    bool is_folder = request->path[strlen(request->path) - 1] == '/';
    char *page = NULL;
    int err = 0;
    if (s->lists && is_folder && crank_http_is(request, "GET", "/**"))
        err = (int)crank_await(crank_to_thread(make_list, s, request->path, &page));
    if (err == 0 && page)
        err = crank_http_respond(request, 200, "text/html; charset=utf-8", page, strlen(page));
    else if (err == 0)
        err = crank_http_file(request, s->folder);
    free(page);
    return err;
}

static int stop_when_asked(crank_listener *listener)
{
    CRANK_SIGNALS(asked, SIGTERM, SIGINT);

    int number = crank_try(crank_signals_next(&asked));
    fprintf(stderr, "httpd: %s: no new requests, %.0f s for those under way\n", strsignal(number), GRACE);
    return crank_listener_stop(listener, GRACE);
}

#ifndef WITHOUT_TLS
/* Connections from now on are shown the renewed one; where it cannot be read, all goes on as it was. */
static int reload_when_asked(const site *s, crank_tls *tls)
{
    CRANK_SIGNALS(asked, SIGHUP);

    for (;;) {
        crank_try(crank_signals_next(&asked));
        if (crank_tls_reload(tls) < 0)
            fprintf(stderr, "httpd: SIGHUP: the certificate stays as it was: %s\n", crank_error());
        else
            fprintf(stderr, "httpd: SIGHUP: %s was read again\n", s->certificate);
    }
}
#endif

static bool has_index(const char *folder)
{
    char name[PATH_MAX];
    return snprintf(name, sizeof name, "%s/index.html", folder) < PATH_MAX && access(name, F_OK) == 0;
}

static int serve(const site *s, crank_listener *listener, crank_tls *tls)
{
    crank_http_options options = { .log = crank_try(crank_stdout()), .tls = tls };
    const char *at = crank_listener_address(listener, 0);
    CRANK_GROUP(group); /* declared after what its children use */

    fprintf(stderr, "httpd: %s is at %s://%s/   (Ctrl-C or SIGTERM ends it)\n", s->folder, tls ? "https" : "http", at);
    if (tls)
        fprintf(stderr, "       ./run fetch https://localhost%s/ --trust %s\n", strrchr(at, ':'), s->certificate);
    if (!s->lists && !has_index(s->folder))
        fprintf(stderr, "       it has no index.html, so / is not found; --list shows folders as lists\n");
    crank_group_spawn(&group, stop_when_asked, listener);
#ifndef WITHOUT_TLS
    if (tls)
        crank_group_spawn(&group, reload_when_asked, s, tls);
#endif
    return crank_http_serve_with(&options, listener, handle, s);
}

/* As crank_listen; what it says of a failure says where another address stands. */
static int listen_at(const char *address, crank_listener **ret_listener)
{
    char why[256];
    *ret_listener = crank_listen(address);
    if (*ret_listener || errno == ECANCELED)
        return *ret_listener ? 0 : -ECANCELED;
    int err = errno;
    snprintf(why, sizeof why, "%s", crank_error());
    return crank_fail(err, "%s; another place: httpd DIR ADDRESS", why);
}

static int app(const site *s, const char *address)
{
    CRANK_AUTO_LISTENER crank_listener *listener = NULL;
    crank_try(listen_at(address, &listener));
#ifndef WITHOUT_TLS
    CRANK_AUTO_TLS crank_tls *tls = NULL;
    if (s->certificate)
        tls = crank_try(crank_tls_server(s->certificate, s->key));
    return serve(s, listener, tls);
#else
    if (s->certificate)
        return crank_fail(ENOTSUP, "--cert: crank was built without OpenSSL (libssl-dev)");
    return serve(s, listener, NULL);
#endif
}

static int usage(FILE *to)
{
    fputs("usage: httpd [DIR [ADDRESS]] [--list] [--cert FILE [--key FILE]]\n"
          "  serves the files of DIR (.) at ADDRESS (127.0.0.1:8080)\n"
          "  --list       shows folders without index.html as lists\n"
          "  --cert FILE  by https, with this certificate and its key, which kill -HUP has read\n"
          "               again (examples/certificates.sh makes them for localhost)\n",
        to);
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "list", no_argument, NULL, 'l' },
        { "cert", required_argument, NULL, 'c' }, { "key", required_argument, NULL, 'k' },
        { "help", no_argument, NULL, 'h' }, { 0 } };
    char folder[PATH_MAX];
    site s = { .folder = folder };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'c')
            s.certificate = optarg;
        else if (option == 'k')
            s.key = optarg;
        else if (option == 'l')
            s.lists = true;
        else
            return usage(option == 'h' ? stdout : stderr);
    }
    if (argc > optind + 2 || (s.key && !s.certificate)) {
        fputs(argc > optind + 2 ? "httpd: DIR and ADDRESS are all it takes beside options\n"
                                : "httpd: --key wants a --cert, whose key it is\n",
            stderr);
        return usage(stderr);
    }
    const char *named = argc > optind ? argv[optind] : ".";
    const char *address = argc > optind + 1 ? argv[optind + 1] : "127.0.0.1:8080";
    DIR *dir = opendir(named);
    if (!dir || !realpath(named, folder)) {
        fprintf(stderr, "httpd: %s: %s\n", named, strerror(errno));
        return 1;
    }
    closedir(dir);
    return crank_run(app, (const site *)&s, address);
}
