/* SPDX-License-Identifier: MIT */
/* E35: the chess exhibition: 24 games one after another take 12 hours, all at once 1 hour.
 *
 * usage: e35_chess [scale]
 *
 * We need 5 seconds for a move, each opponent 55, a game has 30 pairs of moves. The program runs
 * itself on the simulator, whose clock jumps from event to event: thirteen hours pass in
 * milliseconds. With a scale (say 0.001) it takes the real time times that. "At once" ends with
 * our last move; the last reply, which the tutorial leaves out, comes 55 seconds later. */
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPPONENTS = 24, MOVES = 30 };

static const double our_move = 5, their_move = 55;

static void print_time(const char *what, double seconds)
{
    int s = (int)(seconds + 0.5);
    printf("%s: %d:%02d:%02d\n", what, s / 3600, s / 60 % 60, s % 60);
}

static int one_after_another(double scale)
{
    for (int game = 0; game < OPPONENTS; game++) {
        for (int move = 0; move < MOVES; move++) {
            crank_try(crank_sleep(our_move * scale));
            crank_try(crank_sleep(their_move * scale));
        }
    }
    return 0;
}

/* One board. There are many boards but only one of us, and the lock is who has us: fair, so that we
 * walk from board to board. */
static int game(crank_lock *us, double scale, double *our_last_move)
{
    for (int move = 0; move < MOVES; move++) {
        {
            CRANK_WITH_LOCK(us);
            crank_try(crank_sleep(our_move * scale));
            *our_last_move = crank_time();
        }
        crank_try(crank_sleep(their_move * scale));
    }
    return 0;
}

static int all_at_once(double scale, double *our_last_move)
{
    CRANK_LOCK(us);
    CRANK_GROUP(games);

    for (int i = 0; i < OPPONENTS; i++)
        crank_group_spawn(&games, game, us, scale, our_last_move);
    return crank_group_wait(&games);
}

static int app(double scale)
{
    double our_last_move = 0;
    double started = crank_time();
    crank_try(one_after_another(scale));
    print_time("one game after another", (crank_time() - started) / scale);

    started = crank_time();
    crank_try(all_at_once(scale, &our_last_move));
    print_time("all games at once", (our_last_move - started) / scale);
    print_time("(the last reply)", (crank_time() - started) / scale);
    return 0;
}

int main(int argc, char **argv)
{
    double scale = argc > 1 ? atof(argv[1]) : 0;

    if (scale > 0)
        return crank_run(app, scale);
    return (int)-crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, app, 1.0);
}
