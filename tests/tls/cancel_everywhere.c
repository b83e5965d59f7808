/* SPDX-License-Identifier: MIT */
/* cancel_everywhere.c: the calls on encrypted streams, cancelled at many points: a record is whole or not there. */
#include "../behaviour/socket_rows.h"
#include "certs.h"

/* Kept from one telling to the next: making them takes longer than a handshake. */
static crank_tls *server, *client;

static int encrypt(crank_stream **a, crank_stream **b)
{
    int accepted;
    crank_try(certs_shake(client, "localhost", a, server, b, &accepted));
    return accepted;
}

TEST_EACH_BACKEND(cancel, at_many_points_of_calls_on_encrypted_streams_loses_no_byte)
{
    server = certs_server(&certs_localhost);
    client = certs_client();
    carry = encrypt;
    int err = try_rows(rows, CRANK_COUNT(rows), false);
    crank_tls_free(server);
    crank_tls_free(client);
    return err;
}
