// SPDX-License-Identifier: MIT

// Go: goroutines, channels, sync. Pinned to one core it runs on one, so that it does the work of a
// single-threaded runtime; the driver gives it all cores for the pi workloads.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func result(name string, value float64, unit string) {
	fmt.Printf("%s go %.6g %s\n", name, value, unit)
}

func nsEach(started time.Time, n int) float64 {
	return float64(time.Since(started).Nanoseconds()) / float64(n)
}

func memoryBytes(field string) float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, field) {
			kilobytes, _ := strconv.Atoi(strings.Fields(line)[1])
			return float64(kilobytes) * 1024
		}
	}
	return 0
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(0, &usage)
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

func chance(state *uint64) uint64 {
	x := *state
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*state = x
	return x
}

func piHits(seed, n uint64) uint64 {
	state := seed*0x9E3779B97F4A7C15 + 1
	var hits uint64
	for i := uint64(0); i < n; i++ {
		x := float64(chance(&state)>>11) * (1.0 / 9007199254740992.0)
		y := float64(chance(&state)>>11) * (1.0 / 9007199254740992.0)
		if x*x+y*y <= 1 {
			hits++
		}
	}
	return hits
}

func ctxswitch() {
	const n = 5000000
	var group sync.WaitGroup
	group.Add(2)
	started := time.Now()
	for k := 0; k < 2; k++ {
		go func() {
			for i := 0; i < n; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	result("ctxswitch", nsEach(started, 2*n), "ns")
}

func spawnSeq() {
	const n = 1000000
	done := make(chan int)
	started := time.Now()
	for i := 0; i < n; i++ {
		go func() { done <- 1 }()
		<-done
	}
	result("spawn_seq", nsEach(started, n), "ns")
}

func spawnGather() {
	const n = 100000
	for _, name := range []string{"spawn_gather_cold", "spawn_gather"} {
		var group sync.WaitGroup
		started := time.Now()
		group.Add(n)
		for i := 0; i < n; i++ {
			go func() { group.Done() }()
		}
		group.Wait()
		result(name, nsEach(started, n), "ns")
	}
}

func sleepersRound(n int) float64 {
	state := uint64(88172645463325252)
	var group sync.WaitGroup
	started := time.Now()
	group.Add(n)
	for i := 0; i < n; i++ {
		delay := time.Duration(1+chance(&state)%1000) * time.Millisecond
		go func() { time.Sleep(delay); group.Done() }()
	}
	group.Wait()
	return time.Since(started).Seconds()
}

func sleepers() {
	const n = 100000
	memory, tables, cpu := memoryBytes("VmHWM:"), memoryBytes("VmPTE:"), cpuSeconds()
	wall := sleepersRound(n)
	result("sleepers_cpu", cpuSeconds()-cpu, "s")
	result("sleepers_wall", wall, "s")
	result("sleepers_mem", (memoryBytes("VmHWM:")-memory)/n, "B")
	result("sleepers_tables", (memoryBytes("VmPTE:")-tables)/n, "B")
}

func sleepers1m() {
	result("sleepers_1m_first", sleepersRound(1000000), "s")
	result("sleepers_1m", sleepersRound(1000000), "s")
}

// Values come through a channel from a goroutine: Go 1.19 has no other generators.
func generator() {
	const n = 5000000
	values := make(chan uint64)
	var sum uint64
	started := time.Now()
	go func() {
		for i := uint64(0); i < n; i++ {
			values <- i
		}
		close(values)
	}()
	for value := range values {
		sum += value
	}
	result("generator", nsEach(started, n), "ns")
	if sum == 0 {
		os.Exit(1)
	}
}

func pingpong() {
	const n = 1000000
	there, back := make(chan int), make(chan int)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	started := time.Now()
	for i := 0; i < n; i++ {
		there <- i
		<-back
	}
	result("pingpong", nsEach(started, n), "ns")
}

func prodcons() {
	const n = 5000000
	items := make(chan int, 64)
	started := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			items <- i
		}
		close(items)
	}()
	sum := 0
	for value := range items {
		sum += value
	}
	result("prodcons", nsEach(started, n), "ns")
}

func contend(name string, yielding bool) {
	var mutex sync.Mutex
	var group sync.WaitGroup
	count := 0
	group.Add(1000)
	started := time.Now()
	for k := 0; k < 1000; k++ {
		go func() {
			for i := 0; i < 1000; i++ {
				mutex.Lock()
				count++
				if yielding {
					runtime.Gosched()
				}
				mutex.Unlock()
			}
			group.Done()
		}()
	}
	group.Wait()
	result(name, nsEach(started, count), "ns")
}

func cancel() {
	const n = 100000
	var group sync.WaitGroup
	group.Add(n)
	cancels := make([]context.CancelFunc, n)
	for i := 0; i < n; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		cancels[i] = cancel
		go func() {
			timer := time.NewTimer(time.Hour)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
			group.Done()
		}()
	}
	time.Sleep(300 * time.Millisecond)
	started := time.Now()
	for _, cancel := range cancels {
		cancel()
	}
	group.Wait()
	result("cancel", nsEach(started, n), "ns")
}

func pi(jobs int) {
	hits := make([]uint64, jobs)
	var group sync.WaitGroup
	started := time.Now()
	group.Add(jobs)
	for i := 0; i < jobs; i++ {
		i := i
		go func() { hits[i] = piHits(uint64(i), (1<<25)/uint64(jobs)); group.Done() }()
	}
	group.Wait()
	result(fmt.Sprintf("pi_%d", jobs), time.Since(started).Seconds()*1e3, "ms")
}

func echoAll(peer net.Conn) {
	defer peer.Close()
	buf := make([]byte, 4096)
	for {
		n, err := peer.Read(buf)
		if err != nil {
			return
		}
		if _, err = peer.Write(buf[:n]); err != nil {
			return
		}
	}
}

func sinkAll(peer net.Conn) {
	defer peer.Close()
	buf := make([]byte, 65536)
	for {
		if _, err := peer.Read(buf); err != nil {
			return
		}
	}
}

func sourceAll(peer net.Conn) {
	defer peer.Close()
	buf := make([]byte, 65536)
	for {
		if _, err := peer.Write(buf); err != nil {
			return
		}
	}
}

func serveEach(handle func(net.Conn)) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		if peer, err := listener.Accept(); err == nil {
			go handle(peer)
		}
	}
}

func hello(serve func(net.Listener) error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/hello", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/plain")
		io.WriteString(answer, "Hello, world!\n")
	})
	fmt.Fprintln(os.Stderr, serve(listener))
	os.Exit(1)
}

func serve(listener net.Listener) error { return http.Serve(listener, nil) }

func serveSecure(listener net.Listener) error {
	return http.ServeTLS(listener, nil, os.Getenv("BENCH_CERTIFICATE"), os.Getenv("BENCH_KEY"))
}

func ask(client *http.Client, url string) error {
	for {
		answer, err := client.Get(url)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return err
		}
		if answer.StatusCode != 200 || string(body) != "Hello, world!\n" {
			return fmt.Errorf("another answer than was expected: %q", body)
		}
	}
}

// client: 64 goroutines ask for BENCH_URL, again and again.
func client() {
	const askers = 64
	url := os.Getenv("BENCH_URL")
	fmt.Println(strings.TrimSuffix(url[strings.LastIndex(url, ":")+1:], "/hello"))
	transport := &http.Transport{MaxConnsPerHost: askers, MaxIdleConnsPerHost: askers}
	failed := make(chan error)
	for i := 0; i < askers; i++ {
		go func() { failed <- ask(&http.Client{Transport: transport}, url) }()
	}
	fmt.Fprintln(os.Stderr, <-failed)
	os.Exit(1)
}

func main() {
	workloads := map[string]func(){
		"ctxswitch": ctxswitch, "spawn_seq": spawnSeq, "spawn_gather": spawnGather,
		"sleepers": sleepers, "sleepers_1m": sleepers1m, "generator": generator,
		"pingpong": pingpong, "prodcons": prodcons, "cancel": cancel, "echo": func() { serveEach(echoAll) },
		"sink": func() { serveEach(sinkAll) }, "source": func() { serveEach(sourceAll) }, "client": client, "startup": func() {},
		"http":        func() { hello(serve) },
		"https":       func() { hello(serveSecure) },
		"lock":        func() { contend("lock", true) },
		"locknoyield": func() { contend("locknoyield", false) },
	}
	name := os.Args[1]
	if jobs, err := strconv.Atoi(strings.TrimPrefix(name, "pi_")); err == nil {
		pi(jobs)
	} else {
		workloads[name]()
	}
}
