// SPDX-License-Identifier: MIT

//! tokio on its current-thread runtime, which is the fast one for this work.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::{sync, task, time};

fn memory_bytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

/// In ticks of 10 ms, which is fine for seconds and coarse for thread_seq.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn chance(state: &mut u64) -> u64 {
    let mut x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    x
}

fn pi_hits(seed: u64, n: u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E3779B97F4A7C15).wrapping_add(1);
    let mut hits = 0;
    for _ in 0..n {
        let x = (chance(&mut state) >> 11) as f64 * (1.0 / 9007199254740992.0);
        let y = (chance(&mut state) >> 11) as f64 * (1.0 / 9007199254740992.0);
        hits += (x * x + y * y <= 1.0) as u64;
    }
    hits
}

fn result(name: &str, value: f64, unit: &str) {
    println!("{} tokio {:.6} {}", name, value, unit)
}

fn ns_each(started: Instant, n: u64) -> f64 {
    started.elapsed().as_nanos() as f64 / n as f64
}

async fn ctxswitch() {
    let n = 5_000_000;
    let yields = move || async move {
        for _ in 0..n {
            task::yield_now().await
        }
    };
    let started = Instant::now();
    let (a, b) = (tokio::spawn(yields()), tokio::spawn(yields()));
    a.await.unwrap();
    b.await.unwrap();
    result("ctxswitch", ns_each(started, 2 * n), "ns");
}

async fn spawn_seq() {
    let n = 1_000_000;
    let started = Instant::now();
    for _ in 0..n {
        tokio::spawn(async {}).await.unwrap()
    }
    result("spawn_seq", ns_each(started, n), "ns");
}

async fn spawn_gather() {
    let n = 100_000;
    for name in ["spawn_gather_cold", "spawn_gather"] {
        let started = Instant::now();
        let handles: Vec<_> = (0..n).map(|_| tokio::spawn(async {})).collect();
        for handle in handles {
            handle.await.unwrap()
        }
        result(name, ns_each(started, n), "ns");
    }
}

async fn sleepers_round(n: u64) -> f64 {
    let mut state = 88172645463325252u64;
    let started = Instant::now();
    let handles: Vec<_> = (0..n)
        .map(|_| tokio::spawn(time::sleep(Duration::from_millis(1 + chance(&mut state) % 1000))))
        .collect();
    for handle in handles {
        handle.await.unwrap()
    }
    started.elapsed().as_secs_f64()
}

async fn sleepers() {
    let n = 100_000;
    let (memory, tables) = (memory_bytes("VmHWM"), memory_bytes("VmPTE"));
    let cpu = cpu_seconds();
    let wall = sleepers_round(n).await;
    result("sleepers_cpu", cpu_seconds() - cpu, "s");
    result("sleepers_wall", wall, "s");
    result("sleepers_mem", (memory_bytes("VmHWM") - memory) / n as f64, "B");
    result("sleepers_tables", (memory_bytes("VmPTE") - tables) / n as f64, "B");
}

async fn sleepers_1m() {
    result("sleepers_1m_first", sleepers_round(1_000_000).await, "s");
    result("sleepers_1m", sleepers_round(1_000_000).await, "s");
}

async fn pingpong() {
    let n = 1_000_000u64;
    let (to_there, mut there) = sync::mpsc::channel::<u64>(1);
    let (to_back, mut back) = sync::mpsc::channel::<u64>(1);
    tokio::spawn(async move {
        while let Some(value) = there.recv().await {
            if to_back.send(value).await.is_err() {
                break;
            }
        }
    });
    let asking = tokio::spawn(async move {
        let started = Instant::now();
        for i in 0..n {
            to_there.send(i).await.unwrap();
            back.recv().await.unwrap();
        }
        ns_each(started, n)
    });
    result("pingpong", asking.await.unwrap(), "ns");
}

async fn prodcons() {
    let n = 5_000_000u64;
    let (put, mut get) = sync::mpsc::channel::<u64>(64);
    let started = Instant::now();
    tokio::spawn(async move {
        for i in 0..n {
            put.send(i).await.unwrap()
        }
    });
    let consumer = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(value) = get.recv().await {
            sum += value
        }
        sum
    });
    assert_eq!(consumer.await.unwrap(), n * (n - 1) / 2);
    result("prodcons", ns_each(started, n), "ns");
}

async fn contend(name: &str, yielding: bool) {
    let mutex = Arc::new(sync::Mutex::new(0u64));
    let started = Instant::now();
    let handles: Vec<_> = (0..1000)
        .map(|_| {
            let mutex = mutex.clone();
            tokio::spawn(async move {
                for _ in 0..1000 {
                    let mut count = mutex.lock().await;
                    *count += 1;
                    if yielding {
                        task::yield_now().await
                    }
                }
            })
        })
        .collect();
    for handle in handles {
        handle.await.unwrap()
    }
    result(name, ns_each(started, 1_000_000), "ns");
}

async fn cancel() {
    let n = 100_000;
    let handles: Vec<_> =
        (0..n).map(|_| tokio::spawn(time::sleep(Duration::from_secs(3600)))).collect();
    time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    for handle in &handles {
        handle.abort()
    }
    for handle in handles {
        assert!(handle.await.is_err())
    }
    result("cancel", ns_each(started, n), "ns");
}

async fn thread_seq() {
    let n = 100_000;
    task::spawn_blocking(|| ()).await.unwrap();
    let (cpu, started) = (cpu_seconds(), Instant::now());
    for _ in 0..n {
        task::spawn_blocking(|| ()).await.unwrap()
    }
    result("thread_seq", ns_each(started, n) / 1e3, "us");
    result("thread_seq_cpu", (cpu_seconds() - cpu) * 1e6 / n as f64, "us");
}

async fn thread_gather() {
    let n = 10_000;
    task::spawn_blocking(|| ()).await.unwrap();
    let started = Instant::now();
    let handles: Vec<_> = (0..n).map(|_| task::spawn_blocking(|| ())).collect();
    for handle in handles {
        handle.await.unwrap()
    }
    result("thread_gather", ns_each(started, n) / 1e3, "us");
}

async fn pi(name: &str, jobs: u64) {
    let warm: Vec<_> = (0..2).map(|_| task::spawn_blocking(|| ())).collect();
    for handle in warm {
        handle.await.unwrap()
    }
    let started = Instant::now();
    let samples = (1u64 << 25) / jobs;
    let handles: Vec<_> =
        (0..jobs).map(|i| task::spawn_blocking(move || pi_hits(i, samples))).collect();
    let mut hits = 0;
    for handle in handles {
        hits += handle.await.unwrap()
    }
    assert!(hits > 0);
    result(name, started.elapsed().as_secs_f64() * 1e3, "ms");
}

async fn echo_all(mut peer: tokio::net::TcpStream) {
    let mut buf = [0u8; 4096];
    while let Ok(n) = peer.read(&mut buf).await {
        if n == 0 || peer.write_all(&buf[..n]).await.is_err() {
            break;
        }
    }
}

async fn sink_all(mut peer: tokio::net::TcpStream) {
    let mut buf = vec![0u8; 65536];
    while matches!(peer.read(&mut buf).await, Ok(n) if n > 0) {}
}

async fn source_all(mut peer: tokio::net::TcpStream) {
    let buf = vec![0u8; 65536];
    while peer.write_all(&buf).await.is_ok() {}
}

async fn serve<F>(handle: fn(tokio::net::TcpStream) -> F)
where
    F: std::future::Future<Output = ()> + 'static + Send,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        if let Ok((peer, _)) = listener.accept().await {
            let _ = peer.set_nodelay(true);
            tokio::spawn(handle(peer));
        }
    }
}

async fn run(name: &str) {
    match name {
        "startup" => {}
        "ctxswitch" => ctxswitch().await,
        "spawn_seq" => spawn_seq().await,
        "spawn_gather" => spawn_gather().await,
        "sleepers" => sleepers().await,
        "sleepers_1m" => sleepers_1m().await,
        "pingpong" => pingpong().await,
        "prodcons" => prodcons().await,
        "lock" => contend(name, true).await,
        "locknoyield" => contend(name, false).await,
        "cancel" => cancel().await,
        "echo" => serve(echo_all).await,
        "sink" => serve(sink_all).await,
        "source" => serve(source_all).await,
        "thread_seq" => thread_seq().await,
        "thread_gather" => thread_gather().await,
        _ => pi(name, name["pi_".len()..].parse().expect("a workload")).await,
    }
}

fn main() {
    let name = std::env::args().nth(1).expect("a workload");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&name));
}
