// SPDX-License-Identifier: MIT
//
// Boost.Asio with C++20 coroutines on one io_context and one thread; a thread_pool of two threads
// where threads are what is measured. Its coroutines are stackless and know no lock.
#include "../../measure.h"
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>
namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
using channel = asio::experimental::channel<void(boost::system::error_code, long)>;

static asio::io_context loop(1);
static const char *const who = "asio";

static awaitable<void> nothing() { co_return; }
static awaitable<void> yields(long n)
{
    for (long i = 0; i < n; i++)
        co_await asio::post(use_awaitable);
}

static void ctxswitch()
{
    const long n = 2000000;
    double started = wall_seconds();
    asio::co_spawn(loop, yields(n), asio::detached);
    asio::co_spawn(loop, yields(n), asio::detached);
    loop.run();
    result("ctxswitch", who, ns_each(started, 2.0 * n), "ns");
}

static awaitable<void> spawn_in_turn(long n)
{
    auto executor = co_await asio::this_coro::executor;
    for (long i = 0; i < n; i++)
        co_await asio::co_spawn(executor, nothing(), use_awaitable);
}

static void spawn_seq()
{
    const long n = 1000000;
    double started = wall_seconds();
    asio::co_spawn(loop, spawn_in_turn(n), asio::detached);
    loop.run();
    result("spawn_seq", who, ns_each(started, n), "ns");
}

static void spawn_gather()
{
    const long n = 100000;
    for (const char *name : { "spawn_gather_cold", "spawn_gather" }) {
        double started = wall_seconds();
        for (long i = 0; i < n; i++)
            asio::co_spawn(loop, nothing(), asio::detached);
        loop.run();
        loop.restart();
        result(name, who, ns_each(started, n), "ns");
    }
}

static awaitable<void> sleeps(long ms)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(ms));
    co_await timer.async_wait(use_awaitable);
}

static double sleepers_round(long n)
{
    uint64_t state = CHANCE_SEED;
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        asio::co_spawn(loop, sleeps((long)(1 + chance(&state) % 1000)), asio::detached);
    loop.run();
    loop.restart();
    return wall_seconds() - started;
}

static void sleepers()
{
    const long n = 100000;
    double memory = memory_bytes("VmHWM:"), tables = memory_bytes("VmPTE:"), cpu = cpu_seconds();
    double wall = sleepers_round(n);
    result("sleepers_cpu", who, cpu_seconds() - cpu, "s");
    result("sleepers_wall", who, wall, "s");
    result("sleepers_mem", who, (memory_bytes("VmHWM:") - memory) / n, "B");
    result("sleepers_tables", who, (memory_bytes("VmPTE:") - tables) / n, "B");
}

static void sleepers_1m()
{
    result("sleepers_1m_first", who, sleepers_round(1000000), "s");
    result("sleepers_1m", who, sleepers_round(1000000), "s");
}

static awaitable<void> asks(channel &there, channel &back, long n)
{
    for (long i = 0; i < n; i++) {
        co_await there.async_send({}, i, use_awaitable);
        co_await back.async_receive(use_awaitable);
    }
}

static awaitable<void> answers(channel &there, channel &back, long n)
{
    for (long i = 0; i < n; i++) {
        long value = co_await there.async_receive(use_awaitable);
        co_await back.async_send({}, value, use_awaitable);
    }
}

static void pingpong()
{
    const long n = 1000000;
    channel there(loop, 1), back(loop, 1);
    double started = wall_seconds();
    asio::co_spawn(loop, asks(there, back, n), asio::detached);
    asio::co_spawn(loop, answers(there, back, n), asio::detached);
    loop.run();
    result("pingpong", who, ns_each(started, n), "ns");
}

static awaitable<void> produce(channel &items, long n)
{
    for (long i = 0; i < n; i++)
        co_await items.async_send({}, i, use_awaitable);
}

static awaitable<void> consume(channel &items, long n)
{
    for (long i = 0; i < n; i++)
        co_await items.async_receive(use_awaitable);
}

static void prodcons()
{
    const long n = 5000000;
    channel items(loop, 64);
    double started = wall_seconds();
    asio::co_spawn(loop, produce(items, n), asio::detached);
    asio::co_spawn(loop, consume(items, n), asio::detached);
    loop.run();
    result("prodcons", who, ns_each(started, n), "ns");
}

static awaitable<void> waits(asio::steady_timer &timer)
{
    boost::system::error_code error;
    co_await timer.async_wait(asio::redirect_error(use_awaitable, error));
}

static void cancel()
{
    const long n = 100000;
    std::vector<std::unique_ptr<asio::steady_timer>> timers;
    for (long i = 0; i < n; i++) {
        timers.emplace_back(new asio::steady_timer(loop, std::chrono::hours(1)));
        asio::co_spawn(loop, waits(*timers.back()), asio::detached);
    }
    loop.poll();
    double started = wall_seconds();
    for (auto &timer : timers)
        timer->cancel();
    loop.run();
    result("cancel", who, ns_each(started, n), "ns");
}

static awaitable<void> jobs_in_turn(asio::thread_pool &pool, long n)
{
    auto executor = co_await asio::this_coro::executor;
    for (long i = 0; i < n; i++)
        co_await asio::co_spawn(pool, nothing(), asio::bind_executor(executor, use_awaitable));
}

static void thread_seq()
{
    const long n = 100000;
    asio::thread_pool pool(2);
    asio::co_spawn(loop, jobs_in_turn(pool, 1), asio::detached);
    loop.run();
    loop.restart();
    double cpu = cpu_seconds(), started = wall_seconds();
    asio::co_spawn(loop, jobs_in_turn(pool, n), asio::detached);
    loop.run();
    result("thread_seq", who, ns_each(started, n) / 1e3, "us");
    result("thread_seq_cpu", who, (cpu_seconds() - cpu) * 1e6 / n, "us");
}

/* No-ops posted to the pool; each posts its completion back to the loop. */
static void thread_gather()
{
    const long n = 10000;
    long done = 0;
    asio::thread_pool pool(2);
    asio::co_spawn(loop, jobs_in_turn(pool, 1), asio::detached);
    loop.run();
    loop.restart();
    auto guard = asio::make_work_guard(loop);
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        asio::post(pool, [&] {
            asio::post(loop, [&] {
                if (++done == n)
                    guard.reset();
            });
        });
    loop.run();
    result("thread_gather", who, ns_each(started, n) / 1e3, "us");
}

static void pi(const char *name, long jobs)
{
    asio::thread_pool pool(2);
    std::atomic<uint64_t> hits{ 0 };
    uint64_t samples = PI_SAMPLES / (uint64_t)jobs;
    double started = wall_seconds();
    for (long i = 0; i < jobs; i++)
        asio::post(pool, [&hits, i, samples] { hits += pi_hits((uint64_t)i, samples); });
    pool.join();
    result(name, who, (wall_seconds() - started) * 1e3, "ms");
}

static awaitable<void> echo_all(asio::ip::tcp::socket peer)
{
    char buf[4096];
    try {
        for (;;) {
            size_t got = co_await peer.async_read_some(asio::buffer(buf), use_awaitable);
            co_await asio::async_write(peer, asio::buffer(buf, got), use_awaitable);
        }
    } catch (const boost::system::system_error &) {
        /* the peer has gone */
    }
}

static awaitable<void> serve()
{
    asio::ip::tcp::acceptor listener(loop, { asio::ip::make_address("127.0.0.1"), 0 });
    listener.listen(4096);
    printf("%d\n", listener.local_endpoint().port());
    fflush(stdout);
    for (;;) {
        auto peer = co_await listener.async_accept(use_awaitable);
        peer.set_option(asio::ip::tcp::no_delay(true));
        asio::co_spawn(loop, echo_all(std::move(peer)), asio::detached);
    }
}

static void echo()
{
    asio::co_spawn(loop, serve(), asio::detached);
    loop.run();
}

int main(int argc, char **argv)
{
    const std::map<std::string, void (*)()> table = {
        { "ctxswitch", ctxswitch },
        { "spawn_seq", spawn_seq },
        { "spawn_gather", spawn_gather },
        { "sleepers", sleepers },
        { "sleepers_1m", sleepers_1m },
        { "pingpong", pingpong },
        { "prodcons", prodcons },
        { "cancel", cancel },
        { "thread_seq", thread_seq },
        { "thread_gather", thread_gather },
        { "echo", echo },
        { "startup", [] { loop.run(); } },
    };
    std::string name = argc > 1 ? argv[1] : "";
    auto found = table.find(name);
    if (found != table.end())
        found->second();
    else if (name.rfind("pi_", 0) == 0)
        pi(name.c_str(), std::stol(name.substr(3)));
    else
        return 2;
    return 0;
}
